/** Writes that wait for the database: at most one in flight a name, the newest wins, and what failed is not lost. */

export class WriteBehind {
  #jobs = new Map(); // name -> {changes, sent, sending, running}

  /** write(changes): promise, as `BrowserDatabase.write`. */
  constructor(write) {
    this.write = write;
  }

  /**
   * Have changes written, in place of those under the same name that are not written yet.
   * The promise is kept when these or newer ones are down, and broken when that failed; they stay readable here then.
   */
  put(name, changes) {
    const job = this.#jobs.get(name) ?? { sent: null, sending: null, running: null };
    job.changes = changes;
    this.#jobs.set(name, job);
    return this.#start(name, job);
  }

  /** What is not down yet of a table: key -> value, undefined where something is to go. */
  unsaved(table) {
    const changes = [...this.#jobs.values()].flatMap((job) => job.changes);
    return new Map(changes.filter(([place]) => place === table).map(([, key, value]) => [key, value]));
  }

  /** Resolves when all is down; what failed before is tried once more. Throws the first failure. */
  async flush() {
    await Promise.all([...this.#jobs].map(([name, job]) => this.#start(name, job)));
  }

  /** The page may go at once: begin every write, without waiting for those before. */
  urge() {
    for (const [name, job] of this.#jobs) {
      if (job.running && job.sent !== job.changes) this.#send(job);
      this.#start(name, job).catch(() => {}); // told to whoever put it
    }
  }

  #start(name, job) {
    job.running ??= this.#run(name, job);
    return job.running;
  }

  async #run(name, job) {
    for (let isDown = false; !isDown;) {
      if (job.sent !== job.changes) this.#send(job);
      const { sent, sending } = job;
      try {
        await sending;
        isDown = job.changes === sent && job.sending === sending;
      } catch (error) {
        Object.assign(job, { sent: null, sending: null });
        if (job.changes !== sent) continue; // what came meanwhile may fare better
        job.running = null;
        throw error;
      }
    }
    this.#jobs.delete(name);
  }

  #send(job) {
    job.sent = job.changes;
    job.sending = Promise.all([job.sending, this.write(job.changes)]);
    job.sending.catch(() => {}); // `#run` may not have come to await it yet
  }
}
