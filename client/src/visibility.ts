/** Whether anybody can see the page. Tests hand in their own. */
export interface Visibility {
  isHidden(): boolean;
  /** Calls on every change; the answer stops it. */
  onChange(call: () => void): () => void;
}

/** In React Native libraries make a `document` with none of this. */
interface Page {
  readonly visibilityState?: string;
  addEventListener?(type: string, call: () => void): void;
  removeEventListener?(type: string, call: () => void): void;
}

/** The page, where there is one. Elsewhere nothing is ever hidden. */
export function pageOf(): Page | undefined {
  return (globalThis as { document?: Page }).document;
}

export const pageVisibility: Visibility = {
  isHidden: () => pageOf()?.visibilityState === 'hidden',
  onChange(call) {
    const page = pageOf();
    page?.addEventListener?.('visibilitychange', call);
    return () => page?.removeEventListener?.('visibilitychange', call);
  },
};
