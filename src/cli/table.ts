// Tables of text for people: columns as wide as their widest cell, numbers to the right.

/** Numbers with their units are text: columns of such, by number, are put to the right by `right`. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  right: (column: number) => boolean = () => false,
): string {
  const cells = [header, ...rows.map((row) => row.map(String))];
  const numeric = header.map(
    (_, column) => right(column) || (rows.length > 0 && rows.every((row) => typeof row[column] === "number")),
  );
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
