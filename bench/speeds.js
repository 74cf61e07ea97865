/**
 * The speeds of `upstream.js` by their part of its base URL: how many pieces of text a stream has, and how far apart
 * they are. 394 pieces are 400 of Claude's events.
 */
export const SPEEDS = {
  fast: { pieces: 394, everyMs: 0 },
  slow: { pieces: 100, everyMs: 5 },
  paced: { pieces: 64, everyMs: 20 },
};
