import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";

import { FeedbackError, feedback, traceOf, variant, withVariant } from "../index.js";

const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** A server that answers one status after the other (the last one for good) and remembers what it was sent. */
async function serving(answers, use) {
  const seen = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push({ path: request.url, headers: request.headers, body: JSON.parse(Buffer.concat(chunks)) });
    const [status, body] = answers[Math.min(seen.length, answers.length) - 1];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${server.address().port}`, seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test("feedback is sent as the server takes it", () =>
  serving([[200, { id: "f-1" }]], async (url, seen) => {
    const given = { traceId: TRACE, value: 0, comment: "no", correction: { queue: "card" }, idempotencyKey: "k" };
    assert.deepEqual(await feedback(given, { url, key: "s3cret" }), { id: "f-1" });
    const [{ path, headers, body }] = seen;
    assert.equal(path, "/v1/feedback");
    assert.equal(headers.authorization, "Bearer s3cret");
    assert.deepEqual(body, {
      trace_id: TRACE, value: 0, comment: "no", correction: { queue: "card" }, idempotency_key: "k",
    });
  }));

test("a busy server is asked again with the same key", () =>
  serving([[503, {}], [429, {}], [200, { id: "f-2" }]], async (url, seen) => {
    await feedback({ traceId: TRACE, value: true, token: "t" }, { url });
    assert.equal(seen.length, 3);
    assert.equal(new Set(seen.map((request) => request.body.idempotency_key)).size, 1);
    assert.equal(seen[0].body.token, "t");
    assert.equal(seen[0].headers.authorization, undefined);
  }));

test("a refusal is told at once, with the way out", () =>
  serving([[401, { error: { code: "credentials", message: "a key is needed", hint: "Send it." } }]], async (url, seen) => {
    await assert.rejects(feedback({ traceId: TRACE, value: 1 }, { url }), (error) => {
      assert.ok(error instanceof FeedbackError);
      assert.deepEqual([error.status, error.code, error.hint], [401, "credentials", "Send it."]);
      return true;
    });
    assert.equal(seen.length, 1);
  }));

test("a server that is not there is an error of ours", async () => {
  await assert.rejects(feedback({ traceId: TRACE, value: 1 }, { url: "http://127.0.0.1:9" }), { status: 0, code: "network" });
});

test("the trace of a response", () => {
  const response = new Response("", { headers: { "x-trace-id": TRACE, "x-feedback-token": "t" } });
  assert.deepEqual(traceOf(response), { traceId: TRACE, token: "t" });
  assert.equal(traceOf(new Response("")), undefined);
});

test("the variant is the one being run, also across awaits", async () => {
  assert.throws(() => variant(), /inside answer/);
  assert.deepEqual(variant({ model: "mine" }), { model: "mine" });
  const seen = await Promise.all(
    ["a", "b"].map((model) =>
      withVariant({ model }, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return variant().model;
      }),
    ),
  );
  assert.deepEqual(seen, ["a", "b"]);
});

test("a program is a feature: JSON in, JSON out, whatever it prints", async () => {
  const code = `import { answer, variant } from ${JSON.stringify(new URL("../index.js", import.meta.url).href)};
    await answer((text) => { console.log("noise"); return { said: text, model: variant().model }; });`;
  const output = await new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ["--input-type=module", "-e", code], (error, stdout) =>
      error ? reject(error) : resolve(stdout));
    child.stdin.end(JSON.stringify({ input: "grüße", variant: { model: "m" } }));
  });
  assert.deepEqual(JSON.parse(output), { said: "grüße", model: "m" });
});
