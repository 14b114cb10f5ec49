// Property tests: `npm test` draws the same cases each time, so that it fails for what changed and not by luck. Fresh ones
// are for `npm run test:properties`, which sets PROPERTY_SEED (a 32-bit integer) anew for each round.
import fc from "fast-check";

const DEFAULT_SEED = 0x70617261;

fc.configureGlobal({ seed: Number(process.env["PROPERTY_SEED"] ?? DEFAULT_SEED) | 0 });
