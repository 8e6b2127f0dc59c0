/** The mails, as MIME messages: a subject and a text and an HTML body, in whatever script the names are. */

import { Discard } from 'jobwire';

const WORD_BYTES = 45; // of text in an encoded word, which has 75 characters at most
const LITERAL_CHARACTERS = 900; // a line has 998 at most
const ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+$/;
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#x27;' };

/** The mail after a signup. Gives `{ id, to, text }`: its Message-ID, the recipient's address, and the whole message. */
export function welcome(jobId, sender, { name, email }) {
  const text = `Welcome, ${name}!\n\nGood to have you here.\n`;
  return message(jobId, sender, { email, name, subject: `Welcome, ${name}`, text });
}

/** The mail with the link to a new password. */
export function passwordReset(jobId, sender, { email, token }) {
  const link = `https://app.example.com/reset/${token}`;
  const text = `Someone asked for a new password for ${email}.\n\nIf it was you: ${link}\n`;
  return message(jobId, sender, { email, name: '', subject: 'Your new password', text });
}

/** Whether a mail can be sent to it: nothing in it can end a line or a command of SMTP. */
export function isAddress(email) {
  return ADDRESS.test(email);
}

function message(jobId, sender, { email, name, subject, text }) {
  if (!isAddress(email)) throw new Discard(`this is no address: ${JSON.stringify(email)}`);
  const id = `<${jobId}@jobwire.example>`;
  const boundary = `part-of-${jobId}`;
  const head = [
    `Message-ID: ${id}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `From: ${sender}`,
    `To: ${phrase(name)}<${email}>`,
    `Subject: ${isLiteral(subject) ? subject : encodedWords(subject)}`,
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
  ];
  const html = `<p>${text.replace(/[&<>"']/g, (character) => ENTITIES[character])}</p>`;
  const parts = [part('plain', text), part('html', html)];
  const body = parts.map((each) => `--${boundary}\r\n${each}\r\n`).join('');
  return { id, to: email, text: `${head.join('\r\n')}\r\n\r\n${body}--${boundary}--\r\n` };
}

function part(subtype, text) {
  const base64 = Buffer.from(text.replaceAll('\n', '\r\n')).toString('base64');
  const lines = base64.match(/.{1,76}/g).join('\r\n');
  return `Content-Type: text/${subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n${lines}`;
}

/** The name before an address, with the space after it. */
function phrase(name) {
  if (name === '') return '';
  return isLiteral(name) ? `"${name.replace(/["\\]/g, '\\$&')}" ` : `${encodedWords(name)} `;
}

function isLiteral(text) {
  return text.length <= LITERAL_CHARACTERS && /^[ -~]*$/.test(text) && !text.includes('=?');
}

/** RFC 2047. A word never ends within a character. */
function encodedWords(text) {
  const words = [''];
  for (const character of text) {
    if (Buffer.byteLength(words.at(-1) + character) > WORD_BYTES) words.push('');
    words.push(words.pop() + character);
  }
  return words.map((word) => `=?utf-8?B?${Buffer.from(word).toString('base64')}?=`).join('\r\n ');
}
