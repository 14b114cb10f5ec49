// MMX and SSE: the dispatchers of the three families.
export { execMmx } from "./mmx";
export { execSse } from "./sse";
export { execSse2 } from "./sse2";
