/**
 * @typedef {object} Request
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {boolean} compress
 * @property {number} timeout milliseconds
 */
/**
 * @typedef {object} Answer
 * @property {number} status 0 where there is none
 * @property {string} reason what the server says, or why it says nothing
 * @property {string} retryAfter
 */
/**
 * Carries one request at a time, and hands the answer to the function that it was made with.
 *
 * @typedef {object} Courier
 * @property {(request: Request) => void} post
 * @property {() => void} end
 * @property {(milliseconds: number) => Answer | undefined} [wait] wait for the answer without the event loop
 */
/**
 * Send a request, and return the answer; never rejects but for a mistake of ours.
 *
 * Its text is run in workers, too, so that bundlers need to know nothing of them: it uses nothing from outside.
 *
 * @param {Request} request
 * @returns {Promise<Answer>}
 */
export function post({ url, headers, body, compress, timeout }: Request): Promise<Answer>;
/**
 * Return a courier that works in this thread, for where there is no other one.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function inThread(onAnswer: (answer: Answer) => void): Courier;
/**
 * Return the text of a worker that carries requests.
 *
 * @param {string} receive what to do with the function `carry`, which takes a request and a function for the answer
 */
export function sourceOf(receive: string): string;
/** What a worker says that cannot do what it is for, and why. @typedef {{ broken: string }} Broken */
/** A courier that lets a worker carry requests, until that is broken; then it carries them in this thread. */
export class WorkerCourier {
    /** @param {(answer: Answer) => void} onAnswer */
    constructor(onAnswer: (answer: Answer) => void);
    isBroken: boolean;
    /** What is on its way. @type {Request | null} */
    request: Request | null;
    /** @param {Request} request */
    post(request: Request): void;
    /**
     * Give a request to the worker.
     *
     * @param {Request} _request
     */
    hand(_request: Request): void;
    /**
     * Take what the worker says.
     *
     * @param {Answer | Broken} message
     */
    take(message: Answer | Broken): void;
    /** Do without the worker: a policy forbids it, a tool has changed our text, or memory is short. */
    break(): void;
    end(): void;
    #private;
}
export type Request = {
    url: string;
    headers: Record<string, string>;
    body: string;
    compress: boolean;
    /**
     * milliseconds
     */
    timeout: number;
};
export type Answer = {
    /**
     * 0 where there is none
     */
    status: number;
    /**
     * what the server says, or why it says nothing
     */
    reason: string;
    retryAfter: string;
};
/**
 * Carries one request at a time, and hands the answer to the function that it was made with.
 */
export type Courier = {
    post: (request: Request) => void;
    end: () => void;
    /**
     * wait for the answer without the event loop
     */
    wait?: ((milliseconds: number) => Answer | undefined) | undefined;
};
/**
 * What a worker says that cannot do what it is for, and why.
 */
export type Broken = {
    broken: string;
};
