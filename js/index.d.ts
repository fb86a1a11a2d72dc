/** JSON data. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The settings of a variant, as the contract gives them: model, prompt, temperature, … */
export type Settings = { [key: string]: Json };

/**
 * The settings of the variant that is being run: inside `answer` and `withVariant`. Elsewhere, in production without a
 * contract around, `fallback`; without one it throws.
 */
export function variant<T extends object = Settings>(fallback?: T): T;

/** Run code as a variant: for features behind a URL, which get `{input, variant}` in the body of a POST. */
export function withVariant<R>(settings: Settings, code: () => R): R;

/**
 * Make this program a feature (`run: node triage.mjs` in the contract): reads `{input, variant}` from stdin, runs `feature`,
 * and writes its output as JSON to stdout. What the feature prints with console.log goes to stderr meanwhile.
 */
export function answer<I = Json>(feature: (input: I) => unknown): Promise<void>;

/** Where an answer can be given feedback: what the gateway sends with it. */
export interface Trace {
  traceId: string;
  /** Opens feedback on this trace alone; safe to hand to a browser. */
  token?: string;
}

/** The trace of a response of the gateway (fetch's Response, or `.withResponse()` of the openai client). */
export function traceOf(response: { headers: Headers }): Trace | undefined;

export interface Feedback extends Trace {
  /** What the value is about; default "thumbs". */
  name?: string;
  /** 1 (or true) is good, 0 (or false) is bad. */
  value?: number | boolean;
  comment?: string;
  /** What would have been right: a text, or what the feature should have given. */
  correction?: Json;
  user?: string;
  /** Sent again with the same key it counts once; made where there is none. */
  idempotencyKey?: string;
}

export interface Server {
  /** Where `shiftright serve` is; default http://127.0.0.1:4000. */
  url?: string;
  /** The server's key; not for browsers, where `token` opens the one trace. Default: SHIFTRIGHT_KEY of the environment. */
  key?: string;
  /** Milliseconds for each of at most three tries; default 5000. */
  timeout?: number;
}

/** What went wrong: `code` and `hint` as the server says them; `status` is 0 when it could not be reached. */
export class FeedbackError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint?: string;
}

/** Send feedback on a trace. Gives the id under which it is kept. */
export function feedback(given: Feedback, server?: Server): Promise<{ id: string }>;
