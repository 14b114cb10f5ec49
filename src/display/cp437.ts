// Code page 437, the character set of a PC's text screen, as Unicode (unicode.org/Public/MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT;
// the pictures of 00h to 1Fh and 7Fh as in MISC/IBMGRAPH.TXT there).

const LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const ASCII = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i)).join("");
const HIGH =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
  "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** The character of each code; blank ones are spaces. */
export const CP437: readonly string[] = [...`${LOW}${ASCII}⌂${HIGH}`].map((character) =>
  character === "\u00a0" ? " " : character,
);
