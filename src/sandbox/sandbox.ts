import type { Call } from './calls.ts';
import type { ArmedFault } from './faults.ts';
import type { DateForm, Dialect, Stored } from './store.ts';

export interface SandboxOptions {
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly apiKey?: string;
  readonly merchantId?: string;
  readonly dialect?: Dialect;
  readonly dates?: DateForm;
  /** Rejects with 400 requests that the API document forbids but the real service accepts: merchant header, lengths, e-mail. */
  readonly strict?: boolean;
  /** Accepts flat JSON bodies besides forms, as some real endpoints do. Default `false`. */
  readonly json?: boolean;
  /** Rejects a second create of a reference. Default `true`. */
  readonly uniqueReferences?: boolean;
  /**
   * Normalizes stored values: outer blanks, the case of e-mail addresses and references, the Unicode form, leading zeros of the
   * country code. Finds references in any case.
   */
  readonly tidy?: boolean;
  /** Chooses a fault for each call that no armed fault matches. Called once for each call, before it is executed. */
  readonly faultOf?: (call: Call) => ArmedFault | undefined;
  readonly now?: () => Date;
  /** Does not keep the process alive. Default `false`. */
  readonly background?: boolean;
}

export interface Sandbox {
  readonly url: string;
  readonly port: number;
  readonly apiKey: string;
  readonly merchantId: string;
  /** All current customers. The seeded ones come first. */
  readonly customers: readonly Stored[];
  /** All calls so far, in order. */
  readonly calls: readonly Call[];
  clearCalls(): void;
  /** Resolves with the first past or future call that matches. */
  whenCalled(matches: (call: Call) => boolean): Promise<Call>;
  arm(fault: ArmedFault): void;
  disarm(): void;
  /** Restores the seeded customers, disarms all faults and clears the calls. */
  reset(): void;
  close(): Promise<void>;
}
