// MMX and SSE: the dispatchers of the four families.
export { execMmx } from "./mmx";
export { execSse } from "./sse";
export { execSse2 } from "./sse2";
export { execSse4 } from "./sse4";
