/** Does raster jobs off the main thread: {id, job, given} in, {id, result} or {id, fault} out. */

import { RasterJobs } from './raster_jobs.js';

const jobs = new RasterJobs();

addEventListener('message', ({ data: { id, job, given } }) => {
  try {
    const result = jobs[job](given);
    postMessage({ id, result }, result instanceof ImageBitmap ? [result] : []);
  } catch (fault) {
    postMessage({ id, fault: String(fault) });
  }
});
