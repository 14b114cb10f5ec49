// The lzma1 package points type checkers at sources that do not compile under this project's settings; imported from
// here, it has the types of lzma1.d.ts beside this file.
export { decompress } from "lzma1";
