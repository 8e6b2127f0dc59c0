/** The web app of the e-mail example: signup, password reset, stats. It answers as soon as the mail is queued. */

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Client, isJobwireError } from 'jobwire';
import { isAddress } from './mails.js';

const QUEUE = 'emails';
const MAX_BODY = 64 * 1024;

const client = new Client();

class BadForm extends Error {}

/** Queue a welcome mail. */
async function signup({ name, email }) {
  const { id } = await client.push(QUEUE, 'welcome', { name, email }, { backoffDelayMs: 1000 });
  return { job: id };
}

/** Queue a reset mail: it overtakes the welcomes, and is tried five times. */
async function passwordReset({ email }) {
  const data = { email, token: randomBytes(16).toString('base64url') };
  const options = { priority: 10, maxAttempts: 5, backoffDelayMs: 1000 };
  const { id } = await client.push(QUEUE, 'password-reset', data, options);
  return { job: id };
}

/** How many mails wait, are being sent, are done, or could not be sent. */
async function stats() {
  const { waiting, delayed, active, completed, dlq } = (await client.stats(QUEUE)).counts;
  return { waiting, delayed, active, completed, dlq };
}

const ROUTES = new Map([
  ['POST /signup', { page: signup, fields: ['name', 'email'] }],
  ['POST /password-reset', { page: passwordReset, fields: ['email'] }],
  ['GET /stats', { page: stats, fields: [] }],
]);

/** Reads a JSON object, calls the route, writes a JSON object. */
async function serve(request, response) {
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const route = ROUTES.get(`${request.method} ${request.url}`);
  if (route === undefined) return answer(404, { error: 'there is no such page' });
  try {
    const form = await formOf(request, route.fields);
    return answer(request.method === 'POST' ? 202 : 200, await route.page(form));
  } catch (error) {
    if (error instanceof BadForm) return answer(400, { error: error.message });
    if (!isJobwireError(error)) throw error;
    return answer(503, { error: `the queue cannot take it now: ${error.message}` });
  }
}

async function formOf(request, fields) {
  if (fields.length === 0) return {};
  const length = Number(request.headers['content-length']);
  if (!(length <= MAX_BODY)) throw new BadForm(`send a body of at most ${MAX_BODY} bytes`);
  const form = parse(await text(request));
  if (fields.some((name) => typeof form?.[name] !== 'string')) {
    throw new BadForm(`send a JSON object with ${fields.join(' and ')}`);
  }
  if (!isAddress(form.email)) throw new BadForm('email is no address');
  return form;
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new BadForm(`the body is no JSON: ${error.message}`);
  }
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error); // a fault of this program, or the caller has gone away
    response.destroy();
  });
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
