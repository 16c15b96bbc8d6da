// Receives callbacks of durable-timer: checks their signatures, does the work of each once, refuses stale senders.
//
// Node.js 18 or later, with nothing but what comes with it:
//
//     SIGNING_SECRETS='whsec_…' PORT=9000 JOURNAL=receiver.journal node receiver.mjs
//
// While a secret is exchanged, SIGNING_SECRETS has the old one and the new one, with a space between them. What was done is
// noted in a file; with a database, write the notes in the transaction that does the work, as receiver.py does. A test runs
// this file against the server.

import { createHmac, timingSafeEqual } from "node:crypto";
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";

// How far the clocks may be apart. Older messages may be copies that somebody kept.
const TOLERANCE_SECONDS = 5 * 60;
// A payload has up to 256 KiB, a third more where it stands as base64, and the envelope a few KiB.
const BODY_BYTES_MAX = 1024 * 1024;

const SECRETS = (process.env.SIGNING_SECRETS ?? "")
  .split(" ")
  .map((text) => Buffer.from(text.replace(/^whsec_/, ""), "base64"));
// Anybody can sign with a key that is empty.
if (SECRETS.some((secret) => secret.length < 24)) {
  console.error("SIGNING_SECRETS must have one or more secrets of a group, whsec_…");
  process.exit(1);
}
const JOURNAL = process.env.JOURNAL ?? "receiver.journal";

// Whether one of our secrets made one of the signatures, not long ago. `body`: the bytes as they came.
function isGenuine(headers, body, nowSeconds) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (id === "" || !/^[0-9]+$/.test(timestamp)) return false;
  if (Math.abs(nowSeconds - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const expected = SECRETS.map((secret) =>
    createHmac("sha256", secret).update(`${id}.${timestamp}.`, "latin1").update(body).digest(),
  );
  // Other versions than v1 may come some day beside it: they are passed over.
  const given = (headers["webhook-signature"] ?? "")
    .split(" ")
    .filter((signature) => signature.startsWith("v1,"))
    .map((signature) => Buffer.from(signature.slice("v1,".length), "base64"));
  // timingSafeEqual takes the same time wherever the first difference is.
  return expected.some((one) => given.some((other) => one.length === other.length && timingSafeEqual(one, other)));
}

// What was done: the ids of all callbacks, and the largest token of each timer.
const seen = new Set();
const tokens = new Map();

function remember({ webhookId, timer, token }) {
  seen.add(webhookId);
  tokens.set(timer, BigInt(token));
}

// A note of which the end is missing goes: nobody was told that its work is done.
const journal = openSync(JOURNAL, "a+");
const notes = readFileSync(JOURNAL, "utf8").split("\n").slice(0, -1);
notes.map((note) => JSON.parse(note)).forEach(remember);
ftruncateSync(journal, notes.reduce((length, note) => length + Buffer.byteLength(note) + 1, 0));

// What the timer is for.
function work(callback) {
  return callback;
}

// Does the work unless it was done before; gives the status to answer. It does not wait for anything, so that no other
// callback comes in between.
function handle(webhookId, token, body) {
  if (seen.has(webhookId)) return 200;
  const callback = JSON.parse(body.toString("utf8"));
  const timer = JSON.stringify([callback.group, callback.id]);
  // Of a sender that was replaced, or of a definition that was.
  if (BigInt(token) <= (tokens.get(timer) ?? 0n)) return 409;
  work(callback);
  const note = { webhookId, timer, token };
  writeSync(journal, `${JSON.stringify(note)}\n`);
  // The answer says that it is done: it has to be on the disk before.
  fsyncSync(journal);
  remember(note);
  console.log(`did ${callback.id} for ${webhookId}`);
  return 200;
}

const server = createServer((request, response) => {
  const answer = (status) => response.writeHead(status, { "content-length": 0 }).end();
  const chunks = [];
  let bytes = 0;
  request.on("data", (chunk) => {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  });
  request.on("end", () => {
    if (bytes > BODY_BYTES_MAX) return answer(413);
    const body = Buffer.concat(chunks);
    if (!isGenuine(request.headers, body, Date.now() / 1000)) return answer(401);
    try {
      answer(handle(request.headers["webhook-id"], request.headers["timer-fencing-token"], body));
    } catch (error) {
      // Whatever it is, the callback has to come again.
      console.error(`the work failed: ${error}`);
      answer(500);
    }
  });
});
server.listen(Number(process.env.PORT ?? 9000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
process.on("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
  closeSync(journal);
});
