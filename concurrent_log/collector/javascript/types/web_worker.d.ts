/**
 * Return a courier that works in a worker, or in this thread where there can be none, as under many a policy.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function webWorkerCourier(onAnswer: (answer: Answer) => void): Courier;
export type Answer = import("./transport.js").Answer;
export type Broken = import("./transport.js").Broken;
export type Courier = import("./transport.js").Courier;
export type Request = import("./transport.js").Request;
