// Every verb and option as Markdown, from what the parser knows.
import type { Command, Option } from "commander";
import { processIo } from "../src/cli/machine.ts";
import { createProgram } from "../src/cli/main.ts";

const HEAD = `# Every verb and option

Made from what \`paravane help VERB\` prints (\`npm run gen\`); what they are for is in [CLI.md](CLI.md).
`;

export function cliReference(): string {
  const verbs = leaves(createProgram(processIo(), () => {}));
  return `${HEAD}${verbs.map(({ name, command }) => section(name, command)).join("")}`;
}

/** Verbs that do something, by the words one types. */
export function leaves(command: Command, before = ""): { readonly name: string; readonly command: Command }[] {
  return command.commands.flatMap((child) => {
    const name = `${before}${child.name()}`;
    return child.commands.length === 0 ? [{ name, command: child }] : leaves(child, `${name} `);
  });
}

function section(name: string, command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name().toUpperCase()}${argument.variadic ? "..." : ""}`;
    return argument.required ? word : `[${word}]`;
  });
  const rows = command.options.map(row);
  const table = rows.length === 0 ? "" : `\n| option | |\n|---|---|\n${rows.join("")}`;
  return `\n## ${name}\n\n\`paravane ${[name, ...words].join(" ")}\`: ${cell(command.description())}.\n${table}`;
}

function row({ flags, description, hidden }: Option): string {
  return `| \`${flags.replaceAll("|", "\\|")}\` | ${hidden ? "" : cell(description)} |\n`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "\\<");
}
