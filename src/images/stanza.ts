// Paragraphs of Debian's control files (deb-control(5)): "Name: value" lines, of which the first line of a value counts.

export type Stanza = ReadonlyMap<string, string>;

/** The fields of one paragraph; lines that go on with a value are left out. */
export function parseStanza(paragraph: string): Stanza {
  return new Map(
    paragraph.split("\n").flatMap((line) => {
      const match = /^([\w-]+): (.*)$/.exec(line);
      return match ? [[match[1] as string, match[2] as string]] : [];
    }),
  );
}

/** The paragraphs of an index of packages. */
export function* parseStanzas(index: string): Generator<Stanza> {
  for (const paragraph of index.split(/\n\n+/)) {
    const stanza = parseStanza(paragraph);
    if (stanza.size > 0) yield stanza;
  }
}

/** Names of the packages of priority "required", which is what makes a system Debian (Debian policy 2.5). */
export function requiredPackages(index: Iterable<Stanza>): string[] {
  const names = new Set<string>();
  for (const stanza of index) {
    const name = stanza.get("Package");
    if (name !== undefined && stanza.get("Priority") === "required") names.add(name);
  }
  return [...names].sort();
}
