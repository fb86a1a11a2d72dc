// Features under contract, and feedback on their answers. See index.d.ts.

const TRIES = 3;
const HOME = "http://127.0.0.1:4000";

let settings; // AsyncLocalStorage; only where there is a process to run features in

async function storage() {
  if (!settings) {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    settings ??= new AsyncLocalStorage();
  }
  return settings;
}

if (globalThis.process?.versions?.node) await storage();

export function variant(fallback) {
  const current = settings?.getStore() ?? fallback;
  if (current === undefined) {
    throw new Error("no variant is being run: call variant() inside answer() or withVariant(), or give a fallback");
  }
  return current;
}

export function withVariant(chosen, code) {
  if (!settings) throw new Error("withVariant needs a server runtime (Node, Bun, Deno)");
  return settings.run(chosen, code);
}

export async function answer(feature) {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const request = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  // stdout holds the answer and nothing else
  console.log = console.info = console.debug = console.error;
  const output = await withVariant(request.variant ?? {}, () => feature(request.input));
  const text = JSON.stringify(output);
  if (text === undefined) throw new Error(`the feature gave ${typeof output}, which is no JSON`);
  await new Promise((resolve) => process.stdout.write(`${text}\n`, resolve));
}

export function traceOf(response) {
  const traceId = response.headers.get("x-trace-id");
  if (!traceId) return undefined;
  const token = response.headers.get("x-feedback-token");
  return token ? { traceId, token } : { traceId };
}

export class FeedbackError extends Error {
  constructor(message, status = 0, code = "network", hint = undefined) {
    super(hint ? `${message}\n  ${hint}` : message);
    this.name = "FeedbackError";
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

export async function feedback(given, server = {}) {
  const body = JSON.stringify({
    trace_id: given.traceId,
    name: given.name,
    value: given.value,
    comment: given.comment,
    correction: given.correction,
    user: given.user,
    token: given.token,
    idempotency_key: given.idempotencyKey ?? crypto.randomUUID(),
  });
  const key = server.key ?? globalThis.process?.env?.SHIFTRIGHT_KEY;
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const url = new URL("/v1/feedback", server.url ?? HOME);
  for (let tried = 1; ; tried += 1) {
    const failure = await once(url, headers, body, server.timeout ?? 5000);
    if (!(failure instanceof FeedbackError)) return failure;
    const passing = failure.status === 0 || failure.status === 429 || failure.status >= 500;
    if (!passing || tried === TRIES) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** tried));
  }
}

async function once(url, headers, body, timeout) {
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(timeout) });
    const said = await response.json().catch(() => ({}));
    if (response.ok) return said;
    const error = said.error ?? {};
    return new FeedbackError(error.message ?? `answered ${response.status}`, response.status, error.code, error.hint);
  } catch (cause) {
    return new FeedbackError(`${url.origin} cannot be reached: ${cause.cause?.code ?? cause.name}`);
  }
}
