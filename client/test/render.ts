import { createElement, type ReactNode } from 'react';
import type { Root } from 'react-dom/client';

/** Just enough of a page for React to run hooks in: components that render nothing, effects, and a page that can be hidden. */
export interface Page {
  visibilityState: 'visible' | 'hidden';
  /** Hides or shows the page. */
  show(isVisible: boolean): void;
}

const listeners = new Map<string, Set<() => void>>();

function node(ownerDocument: object, nodeType: number): object {
  return {
    nodeType,
    nodeName: nodeType === 9 ? '#document' : 'DIV',
    tagName: 'DIV',
    namespaceURI: 'http://www.w3.org/1999/xhtml',
    ownerDocument,
    textContent: '',
    style: {},
    childNodes: [],
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    appendChild: () => undefined,
    removeChild: () => undefined,
    insertBefore: () => undefined,
    contains: () => true,
    setAttribute: () => undefined,
  };
}

export const page: Page = {
  visibilityState: 'visible',
  show(isVisible) {
    page.visibilityState = isVisible ? 'visible' : 'hidden';
    for (const call of listeners.get('visibilitychange') ?? []) call();
  },
};

/** Puts the page where browsers have it. Call it before React is loaded. */
export function openPage(): void {
  const document: Record<string, unknown> = {
    ...node({}, 9),
    get visibilityState() {
      return page.visibilityState;
    },
    createElement: () => node(document, 1),
    addEventListener(type: string, call: () => void) {
      listeners.set(type, (listeners.get(type) ?? new Set()).add(call));
    },
    removeEventListener: (type: string, call: () => void) => listeners.get(type)?.delete(call),
  };
  document['body'] = node(document, 1);
  document['documentElement'] = node(document, 1);
  document['activeElement'] = document['body'];
  document['defaultView'] = globalThis;
  Object.assign(globalThis, {
    document,
    window: globalThis,
    HTMLIFrameElement: class {},
    IS_REACT_ACT_ENVIRONMENT: false,
  });
}

export interface Rendered<Value> {
  /** What the hook gave last. */
  current(): Value;
  /** Resolves with the first value, the present one included, that is as wanted. */
  until(isWanted: (value: Value) => boolean): Promise<Value>;
  unmount(): void;
}

function Probe({ useValue, report }: { useValue: () => unknown; report: (value: unknown) => void }): ReactNode {
  report(useValue());
  return null;
}

/** Runs a hook in a component that shows nothing. */
export async function renderHook<Value>(
  hook: () => Value,
  wrap: (children: ReactNode) => ReactNode,
): Promise<Rendered<Value>> {
  const { createRoot } = await import('react-dom/client');
  const values: Value[] = [];
  const waiting = new Set<() => void>();
  const report = (value: unknown) => {
    values.push(value as Value);
    // After this render is over: a component must not set others in motion.
    queueMicrotask(() => {
      for (const look of waiting) look();
    });
  };
  const container = (globalThis as unknown as { document: { createElement(): Element } }).document.createElement();
  const root: Root = createRoot(container);
  root.render(wrap(createElement(Probe, { useValue: hook, report })));
  const rendered: Rendered<Value> = {
    current: () => values.at(-1) as Value,
    until: (isWanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`Still ${JSON.stringify(values.at(-1))}`)), 10_000);
        const look = () => {
          const value = values.at(-1);
          if (values.length === 0 || !isWanted(value as Value)) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(value as Value);
        };
        waiting.add(look);
        look();
      }),
    unmount: () => root.unmount(),
  };
  await rendered.until(() => true);
  return rendered;
}
