/**
 * The panel "Upstream calls" of GraphiQL, as a script of the page. It defines `UpstreamCalls.render`, which replaces the call of
 * `YogaGraphiQL.renderYogaGraphiQL`.
 *
 * A plan is a request of the panel itself, which always has the header `x-gateway-explain: plan`: the run button is not involved, so
 * that a plan can never execute a mutation. Runs of GraphiQL get the header `x-gateway-explain: trace`. If that is refused, nothing was
 * executed, and the run is sent without the header.
 */
export const panelScript = `
globalThis.UpstreamCalls = (() => {
  const header = 'x-gateway-explain';
  const stored = (name, fallback) => localStorage.getItem('upstreamCalls:' + name) ?? fallback;
  const store = (name, value) => localStorage.setItem('upstreamCalls:' + name, value);
  const send = globalThis.fetch.bind(globalThis);
  let options = {};
  let tab;
  let isOpen = stored('open', innerWidth >= 1100 ? 'yes' : 'no') === 'yes';
  let isTracing = stored('trace', 'yes') === 'yes';
  /** The credentials that may not explain. They are not asked again. */
  let refusedFor;
  let content;

  return { render };

  function render(yoga, root, given) {
    options = given;
    buildPanel();
    globalThis.fetch = (input, init) => sendTraced(input, init);
    yoga.renderYogaGraphiQL(root, {
      ...given,
      onTabChange: ({ tabs, activeTabIndex }) => {
        tab = tabs[activeTabIndex];
      },
    });
  }

  function element(name, properties = {}, ...children) {
    const created = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in created && key !== 'role') created[key] = value;
      else created.setAttribute(key, value);
    }
    created.append(...children);
    return created;
  }

  function buildPanel() {
    content = element('div', { className: 'upstream-content', id: 'upstream-content', role: 'status' });
    const trace = element('input', { type: 'checkbox', checked: isTracing });
    trace.addEventListener('change', () => {
      isTracing = trace.checked;
      refusedFor = undefined;
      store('trace', isTracing ? 'yes' : 'no');
    });
    const plan = element('button', { type: 'button', className: 'upstream-plan', title: 'Shows the upstream calls without running the operation' }, 'Plan');
    plan.addEventListener('click', () => showPlan());
    const panel = element(
      'section',
      { id: 'upstream-panel', className: 'upstream-panel', 'aria-label': 'Upstream calls' },
      element('h2', {}, 'Upstream calls'),
      element('div', { className: 'upstream-tools' }, plan, element('label', {}, trace, ' Trace each run')),
      content,
    );
    const toggle = element('button', { type: 'button', className: 'upstream-toggle', 'aria-controls': 'upstream-panel' }, 'Upstream calls');
    const apply = () => {
      panel.hidden = !isOpen;
      toggle.setAttribute('aria-expanded', String(isOpen));
    };
    toggle.addEventListener('click', () => {
      isOpen = !isOpen;
      store('open', isOpen ? 'yes' : 'no');
      apply();
    });
    apply();
    show('Upstream calls', [element('p', {}, 'Plan shows which calls the operation would make, without running it. Run the operation to see the calls that it made.')]);
    document.body.append(element('aside', { className: 'graphiql-container upstream-calls', 'aria-label': 'Upstream calls' }, panel, toggle));
  }

  /** The editors' content. GraphiQL reports it at each change. Before the first change it is the stored or the first tab. */
  function current() {
    if (tab !== undefined) return tab;
    const query = new URL(location.href).searchParams.get('query');
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem('graphiql:tabState') ?? '{"tabs":[]}');
    const known = [tabs[activeTabIndex], ...(options.defaultTabs ?? [])].filter((one) => one !== undefined);
    return known.find((one) => query === null || one.query === query) ?? { query };
  }

  async function showPlan() {
    const { query, variables, headers, operationName } = current();
    let body;
    const sent = new Headers();
    try {
      for (const [name, value] of Object.entries(JSON.parse(headers?.trim() || '{}'))) sent.set(name, String(value));
      body = JSON.stringify({ query, variables: JSON.parse(variables?.trim() || '{}'), ...(operationName && { operationName }) });
    } catch {
      show('Plan', [element('p', {}, 'The variables or the headers are not valid JSON.')]);
      return;
    }
    sent.set('content-type', 'application/json');
    sent.set('accept', 'application/json');
    sent.set(header, 'plan');
    try {
      const response = await send(options.endpoint, { method: 'POST', headers: sent, body, credentials: 'same-origin' });
      showAnswer(await response.json());
    } catch {
      show('Plan', [element('p', {}, 'The gateway did not answer.')]);
    }
  }

  async function sendTraced(input, init) {
    const credentials = credentialsOf(init);
    if (!isOpen || !isTracing || !isRun(input, init) || refusedFor === credentials) return send(input, init);
    const headers = new Headers(init.headers);
    if (headers.has(header)) return send(input, init);
    headers.set(header, 'trace');
    const response = await send(input, { ...init, headers });
    const text = await response.text();
    let answer;
    try {
      answer = JSON.parse(text);
    } catch {
      return new Response(text, response);
    }
    if (isRefused(answer)) {
      // Nothing was executed.
      refusedFor = credentials;
      showAnswer(answer);
      return send(input, init);
    }
    showAnswer(answer);
    const { explain, ...extensions } = answer.extensions ?? {};
    const { extensions: all, ...rest } = answer;
    const shown = Object.keys(extensions).length > 0 ? { ...rest, extensions } : rest;
    return new Response(JSON.stringify(shown), { status: response.status, headers: response.headers });
  }

  function isRun(input, init) {
    if (init?.method !== 'POST' || typeof init.body !== 'string') return false;
    if (new URL(String(input?.url ?? input), location.href).pathname !== new URL(options.endpoint, location.href).pathname) return false;
    return !init.body.includes('__schema');
  }

  function credentialsOf(init) {
    const headers = new Headers(init?.headers);
    return [headers.get('authorization'), headers.get('x-api-key')].join(' ');
  }

  function isRefused({ data, errors }) {
    const [error] = errors ?? [];
    return data === undefined && error?.extensions?.code === 'FORBIDDEN' && error.message.includes(header);
  }

  function showAnswer(answer) {
    const explain = answer.extensions?.explain;
    if (explain !== undefined) {
      showExplanation(explain);
      return;
    }
    if (isRefused(answer)) {
      show('Upstream calls', [
        element('p', {}, 'These credentials do not have the scope ', element('code', {}, 'gateway:explain'), '. Add a token with this scope in Headers to see upstream calls. Operations run as usual.'),
      ]);
      return;
    }
    const messages = (answer.errors ?? []).map(({ message }) => element('li', {}, message));
    show('No upstream calls', [element('p', {}, 'The operation was refused before it ran:'), element('ul', {}, ...messages)]);
  }

  function show(title, children) {
    content.replaceChildren(element('h3', {}, title), ...children);
  }

  function showExplanation({ mode, calls, refused = [] }) {
    const tokens = calls.filter(({ token }) => token).length;
    const count = calls.length + (calls.length === 1 ? ' call' : ' calls');
    const verb = mode === 'plan' ? 'Plan: ' : 'Trace: ';
    const title = verb + count + (tokens > 0 ? ', ' + tokens + (tokens === 1 ? ' token' : ' tokens') : '');
    const note = mode === 'plan' ? 'Nothing was executed.' : 'These calls were made.';
    const fields = refused.map(({ field, code }) => element('li', {}, element('code', {}, field || 'operation'), ': ' + code));
    show(title, [
      element('p', {}, note),
      element('ol', {}, ...calls.map(callItem)),
      ...(fields.length > 0 ? [element('h4', {}, 'Fields that fail without a call'), element('ul', {}, ...fields)] : []),
    ]);
  }

  function callItem(call) {
    const badges = [];
    if (call.token) badges.push(element('span', { className: 'upstream-badge' }, 'token'));
    if (call.reads > 1) badges.push(element('span', { className: 'upstream-badge' }, call.reads + ' reads merged'));
    if (call.shared) badges.push(element('span', { className: 'upstream-badge' }, 'shared with another operation'));
    if (call.after) badges.push(element('span', { className: 'upstream-badge' }, 'after call ' + call.after));
    return element(
      'li',
      {},
      element('div', { className: 'upstream-call' }, element('code', {}, call.method + ' ' + call.path), ' ', call.customer, ' ', ...badges),
      ...(call.condition ? [element('div', {}, conditions[call.condition] ?? call.condition)] : []),
      element('ul', { className: 'upstream-reasons' }, ...call.reasons.map(({ text }) => element('li', {}, ...withCode(text)))),
      ...(call.attempts ?? []).map(attemptLine),
      ...(call.curl ? [element('details', {}, element('summary', {}, 'curl'), element('pre', { tabIndex: 0 }, call.curl))] : []),
      ...(call.conditional?.length > 0
        ? [element('details', {}, element('summary', {}, 'If it does not succeed: ' + call.conditional.length + ' more'), element('ul', {}, ...call.conditional.map(callItem)))]
        : []),
    );
  }

  /** The parts of a sentence. Every second one, between backticks, is code. */
  function withCode(text) {
    return text.split(String.fromCharCode(96)).map((part, index) => (index % 2 === 1 ? element('code', {}, part) : part));
  }

  function attemptLine({ method, path, attempt, status, outcome, durationMs }) {
    const parts = [method + ' ' + path, 'attempt ' + attempt, status, outcome, durationMs === null ? 'not ended' : durationMs + ' ms'];
    return element('div', { className: 'upstream-attempt' }, parts.filter((part) => part !== null).join(' \\u00b7 '));
  }
})();
const conditions = {
  ALREADY_EXISTS: 'If the reference exists already:',
  OUTCOME_UNKNOWN: 'If the outcome of the write is unknown:',
  NOT_APPLIED: 'If the lookup finds that the write had no effect:',
};
`;

/** The variables of GraphiQL's themes are defined for its container, whose class the panel has. */
export const panelStyle = `
body { display: flex; }
body > #root { flex: 1; min-width: 0; overflow: hidden; }
body > #root > .graphiql-container { width: 100%; }
body .graphiql-container.upstream-calls { display: flex; flex: none; width: auto; height: 100vh; font-size: 14px; }
.upstream-panel { width: 360px; box-sizing: border-box; padding: 12px 16px; overflow: auto; border-left: 1px solid hsla(var(--color-neutral), 0.3); }
.upstream-panel[hidden] { display: none; }
.upstream-panel h2 { font-size: 18px; margin: 4px 0 12px; }
.upstream-panel h3 { font-size: 15px; margin: 12px 0 4px; }
.upstream-panel h4 { margin: 12px 0 4px; }
.upstream-panel ol, .upstream-panel ul { padding-left: 20px; margin: 4px 0; }
.upstream-panel ol > li { margin: 8px 0; }
.upstream-panel p { margin: 4px 0; }
.upstream-panel code, .upstream-panel pre, .upstream-attempt { font-family: var(--font-family-mono); font-size: 12px; }
.upstream-panel pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 8px; margin: 4px 0; background: hsla(var(--color-neutral), 0.12); border-radius: 4px; }
.upstream-attempt { opacity: 0.9; overflow-wrap: anywhere; }
.upstream-tools { display: flex; gap: 16px; align-items: center; }
.upstream-panel label { display: flex; gap: 6px; align-items: center; }
.upstream-badge { display: inline-block; padding: 0 6px; margin: 0 2px; border-radius: 8px; font-size: 12px; border: 1px solid hsla(var(--color-neutral), 0.5); }
.upstream-plan { padding: 6px 14px; border: 0; border-radius: 4px; cursor: pointer; color: white; background: hsl(var(--color-primary)); }
.upstream-toggle { width: 32px; padding: 12px 0; border: 0; cursor: pointer; writing-mode: vertical-rl; color: inherit; background: hsla(var(--color-neutral), 0.12); border-left: 1px solid hsla(var(--color-neutral), 0.3); }
.upstream-calls :focus-visible { outline: 2px solid hsl(var(--color-primary)) !important; outline-offset: 1px; }
`;
