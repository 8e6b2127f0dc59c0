/** The worker of the e-mail example: takes jobs of the queue `emails` and sends their mails. */

import { Client, Discard, Worker } from 'jobwire';
import * as mails from './mails.js';
import { Mailer, Refusal, settingsFromEnvironment } from './smtp.js';

const { WORKER_CONCURRENCY = '4', WORKER_LEASE = '30' } = process.env;

const log = (...words) => console.log(new Date().toISOString(), ...words);
const mailer = new Mailer();
const client = new Client({ onLog: ({ level, message }) => log(level, message) });
const worker = new Worker(client, {
  queues: ['emails'],
  concurrency: Number(WORKER_CONCURRENCY),
  leaseMs: 1000 * Number(WORKER_LEASE),
  onError: (error, job) => log('failed', job?.id ?? '', String(error)),
});

worker.handle('welcome', (job) => send(job, mails.welcome));
worker.handle('password-reset', (job) => send(job, mails.passwordReset));

/** A refusal for good ends the job; everything else is tried again. */
async function send(job, write) {
  const settings = settingsFromEnvironment();
  const mail = write(job.id, settings.sender, job.data);
  try {
    await mailer.send(settings, mail);
  } catch (error) {
    if (error instanceof Refusal && error.isForGood) {
      throw new Discard(`the mail server refused the mail: ${error.message}`);
    }
    throw error;
  }
  return { messageId: mail.id };
}

await worker.run();
mailer.close();
await client.close();
