// Settings that users write (options, parameters, scenario files) as tables: one table gives the check, the defaults, the
// TypeScript type and the JSON schema.
import { VmError } from "../vmm/error.ts";

interface Described {
  /** What it is, with its unit; goes into the schema. */
  readonly title: string;
}
export interface NumberField extends Described {
  readonly kind: "number";
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** Undefined with `optional`: may be left out and is undefined then. */
  readonly default?: number;
}
export interface BooleanField extends Described {
  readonly kind: "boolean";
  readonly default: boolean;
}
export interface TextField extends Described {
  readonly kind: "text";
  readonly mayBeEmpty?: boolean;
  readonly maxLength: number;
  readonly default?: string;
}
export interface ChoiceField extends Described {
  readonly kind: "choice";
  readonly of: readonly string[];
  readonly default?: string;
}
export interface ObjectField extends Described {
  readonly kind: "object";
  readonly fields: FieldTable;
  /** Checked as if it were {} when left out. Without: undefined then. */
  readonly filled?: boolean;
  /** Null is accepted too. */
  readonly nullable?: boolean;
}
export interface ListField extends Described {
  readonly kind: "list";
  readonly of: FieldTable;
  readonly minItems: number;
  readonly maxItems: number;
}
/** One of several objects, told apart by the text in its field `by`. */
export interface VariantField extends Described {
  readonly kind: "variant";
  readonly by: string;
  readonly of: Readonly<Record<string, FieldTable>>;
}
/** What no table says: its owner checks and describes it. */
export interface OtherField<T> extends Described {
  readonly kind: "other";
  /** Throws VmError("bad-config") naming `path`, or a field in it. */
  check(value: unknown, path: string): T;
  readonly schema: Readonly<Record<string, unknown>>;
  /** For the message where it is required and missing. */
  readonly accepted: string;
}
export type Field =
  | NumberField
  | BooleanField
  | TextField
  | ChoiceField
  | ObjectField
  | ListField
  | VariantField
  | OtherField<unknown>;
/** A field named in `required` has no default and must be given. */
export type FieldTable = Readonly<Record<string, Field & { readonly required?: boolean }>>;

type Variants<F extends VariantField> = {
  [K in keyof F["of"]]: { readonly [B in F["by"]]: K } & Checked<F["of"][K]>;
}[keyof F["of"]];
type Present<F> = F extends { required: true } | { default: number | string | boolean } | { filled: true }
  ? true
  : false;
type ValueOf<F> = F extends NumberField
  ? number
  : F extends BooleanField
    ? boolean
    : F extends TextField
      ? string
      : F extends ChoiceField
        ? F["of"][number]
        : F extends ObjectField
          ? Checked<F["fields"]> | (F extends { nullable: true } ? null : never)
          : F extends ListField
            ? readonly Checked<F["of"]>[]
            : F extends VariantField
              ? Variants<F>
              : F extends OtherField<infer T>
                ? T
                : never;
/** What checkFields returns for a table. */
export type Checked<T> = {
  readonly [K in keyof T]: Present<T[K]> extends true ? ValueOf<T[K]> : ValueOf<T[K]> | undefined;
};

/**
 * `input` with defaults filled in. Throws VmError("bad-config") naming the field (after `where`, as in "groups[0].") and
 * what is accepted; a field that the table does not have is refused.
 */
export function checkFields<const T extends FieldTable>(table: T, input: unknown, where = ""): Checked<T> {
  const given = asObject(input, where);
  for (const name of Object.keys(given))
    if (!Object.hasOwn(table, name))
      refuse(`${where}${name}`, "is not a setting", `there are ${Object.keys(table).join(", ")}`);
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(table)) {
    const value = given[name];
    result[name] =
      value === undefined ? missing(field, `${where}${name}`) : checkValue(field, value, `${where}${name}`);
  }
  return result as Checked<T>;
}

function missing(field: FieldTable[string], path: string): unknown {
  if (field.required) refuse(path, "is missing", `it takes ${accepted(field)}`);
  if (field.kind === "object") return field.filled ? checkFields(field.fields, {}, `${path}.`) : undefined;
  return "default" in field ? field.default : undefined;
}

function checkValue(field: Field, value: unknown, path: string): unknown {
  const wrong = (): never => refuse(path, `is ${show(value)}`, `it takes ${accepted(field)}`);
  switch (field.kind) {
    case "number":
      if (typeof value !== "number" || !(value >= field.min && value <= field.max)) return wrong();
      return field.integer && !Number.isInteger(value) ? wrong() : value;
    case "boolean":
      return typeof value === "boolean" ? value : wrong();
    case "text":
      if (typeof value !== "string" || value.length > field.maxLength) return wrong();
      return value === "" && !field.mayBeEmpty ? wrong() : value;
    case "choice":
      return typeof value === "string" && field.of.includes(value) ? value : wrong();
    case "object":
      return value === null && field.nullable ? null : checkFields(field.fields, value, `${path}.`);
    case "list":
      if (!Array.isArray(value) || value.length < field.minItems || value.length > field.maxItems) return wrong();
      return value.map((item, i) => checkFields(field.of, item, `${path}[${i}].`));
    case "variant": {
      const { [field.by]: name, ...rest } = asObject(value, `${path}.`);
      const table = typeof name === "string" && Object.hasOwn(field.of, name) ? field.of[name] : undefined;
      if (!table)
        return refuse(
          `${path}.${field.by}`,
          name === undefined ? "is missing" : `is ${show(name)}`,
          `it takes one of ${Object.keys(field.of).join(", ")}`,
        );
      return { [field.by]: name, ...checkFields(table, rest, `${path}.`) };
    }
    case "other":
      return field.check(value, path);
  }
}

function asObject(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    refuse(where.replace(/\.$/, "") || "the settings", `is ${show(value)}`, "an object is expected");
  return value as Readonly<Record<string, unknown>>;
}

/** "a whole number from 1 to 65535". */
function accepted(field: Field): string {
  switch (field.kind) {
    case "number":
      return `a ${field.integer ? "whole " : ""}number from ${field.min} to ${field.max}`;
    case "boolean":
      return "true or false";
    case "text":
      return `text of ${field.mayBeEmpty ? 0 : 1} to ${field.maxLength} characters`;
    case "choice":
      return `one of ${field.of.join(", ")}`;
    case "object":
      return `an object with ${Object.keys(field.fields).join(", ")}${field.nullable ? ", or null" : ""}`;
    case "list":
      return `a list of ${field.minItems} to ${field.maxItems} objects`;
    case "variant":
      return `an object whose "${field.by}" is one of ${Object.keys(field.of).join(", ")}`;
    case "other":
      return field.accepted;
  }
}

function refuse(path: string, what: string, then: string): never {
  throw new VmError("bad-config", `${path} ${what}; ${then}`, { field: path });
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

/** JSON Schema (2020-12) of an object with these fields. */
export function schemaOf(table: FieldTable): Record<string, unknown> {
  const required = Object.entries(table).flatMap(([name, field]) => (field.required ? [name] : []));
  return {
    type: "object",
    properties: Object.fromEntries(Object.entries(table).map(([name, field]) => [name, fieldSchema(field)])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function fieldSchema(field: Field): Record<string, unknown> {
  const description = { description: field.title, ...("default" in field ? { default: field.default } : {}) };
  switch (field.kind) {
    case "number":
      return { ...description, type: field.integer ? "integer" : "number", minimum: field.min, maximum: field.max };
    case "boolean":
      return { ...description, type: "boolean" };
    case "text":
      return { ...description, type: "string", minLength: field.mayBeEmpty ? 0 : 1, maxLength: field.maxLength };
    case "choice":
      return { ...description, enum: field.of };
    case "object":
      return { ...description, ...schemaOf(field.fields), ...(field.nullable ? { type: ["object", "null"] } : {}) };
    case "list":
      return {
        ...description,
        type: "array",
        minItems: field.minItems,
        maxItems: field.maxItems,
        items: schemaOf(field.of),
      };
    case "variant":
      return {
        ...description,
        oneOf: Object.entries(field.of).map(([name, fields]) =>
          schemaOf({ [field.by]: { kind: "choice", title: field.title, of: [name], required: true }, ...fields }),
        ),
      };
    case "other":
      return { ...description, ...field.schema };
  }
}
