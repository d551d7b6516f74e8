/** A photo from the camera: by the phone's own camera app, or in a small window of ours. */

const WANTED = { facingMode: 'environment', width: { ideal: 4096 }, height: { ideal: 3072 } };
const QUALITY = 0.95;

const REASONS = {
  NotAllowedError: 'The camera may not be used: allow it in the browser, beside the address.',
  NotFoundError: 'There is no camera on this device.',
  NotReadableError: 'The camera is busy: another program may be using it.',
};

let taken = 0;

/**
 * A picture as a File; null when the user thought better of it. parent: the element to put the window into.
 * Throws an Error whose message is a sentence for the user.
 */
export async function takePicture(parent) {
  if (matchMedia('(pointer: coarse)').matches) return fromCameraApp();
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error('The camera needs a page that came by https, or from this computer: choose a file instead.');
  const stream = await openCamera();
  try {
    return await fromWindow(parent, stream);
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** Its pictures are better than a video's: light, focus, all of the sensor. */
function fromCameraApp() {
  const input = Object.assign(document.createElement('input'), {
    type: 'file',
    accept: 'image/*',
    capture: 'environment',
  });
  return new Promise((resolve) => {
    input.onchange = () => resolve(input.files[0] ?? null);
    input.oncancel = () => resolve(null);
    input.click();
  });
}

async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: WANTED });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera cannot be used: ${error.message}.`);
  }
}

function fromWindow(parent, stream) {
  const { dialog, video, shutter } = buildWindow(stream);
  parent.append(dialog);
  return new Promise((resolve) => {
    shutter.onclick = async () => {
      const file = await still(video);
      resolve(file);
      dialog.close();
    };
    dialog.onclose = () => {
      dialog.remove();
      resolve(null); // unless there is a picture already
    };
    dialog.showModal();
  });
}

function buildWindow(stream) {
  const dialog = element('dialog', { className: 'cm-camera', ariaLabel: 'Camera' });
  const video = element('video', { muted: true, autoplay: true, playsInline: true, srcObject: stream });
  const shutter = element('button', {
    className: 'cm-shutter',
    type: 'button',
    textContent: 'Take photo',
    disabled: true,
  });
  const close = element('button', { type: 'button', textContent: 'Cancel', onclick: () => dialog.close() });
  const row = element('div', { className: 'cm-camera-buttons' });
  video.onloadeddata = () => {
    shutter.disabled = false;
    shutter.focus();
  };
  row.append(close, shutter);
  dialog.append(video, row);
  return { dialog, video, shutter };
}

async function still(video) {
  const canvas = element('canvas', { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', QUALITY));
  taken += 1;
  return new File([blob], `camera ${taken}.jpg`, { type: 'image/jpeg' });
}

const element = (name, properties) => Object.assign(document.createElement(name), properties);
