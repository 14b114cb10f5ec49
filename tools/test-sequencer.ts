// The order of the test files: what takes a quarter of an hour where nothing is cached begins first, beside all others.
import { BaseSequencer, type TestSpecification } from "vitest/node";

const LONGEST = "test/guests/debian-disk.test.ts";

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith(LONGEST);
    const sorted = await super.sort(files);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}
