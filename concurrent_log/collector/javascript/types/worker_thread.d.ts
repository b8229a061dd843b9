/**
 * Return a courier that works in a thread, or in this one where a thread cannot be had.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function threadCourier(onAnswer: (answer: Answer) => void): Courier;
export type Answer = import("./transport.js").Answer;
export type Broken = import("./transport.js").Broken;
export type Courier = import("./transport.js").Courier;
export type Request = import("./transport.js").Request;
