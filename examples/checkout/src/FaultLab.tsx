import { useCallback, useEffect, useState } from 'react';

/** The choices of the panel and the sandbox faults that each one arms. */
const scenes: readonly { name: string; does: string; faults: readonly object[] }[] = [
  {
    name: 'Answers get lost',
    does: 'Each save succeeds, but its response is lost. The gateway reads the customer to find the outcome.',
    faults: ['create', 'update'].map((on) => ({ fault: '500', on, afterCommit: true })),
  },
  {
    name: 'Outage while saving',
    does: 'A registration is saved, but its response is lost and reads fail, so the outcome is ambiguous. Send it again after the outage.',
    faults: [
      { fault: '503', on: 'create', afterCommit: true },
      { fault: '503', on: 'get' },
    ],
  },
  { name: 'Provider is down', does: 'All reads and saves fail.', faults: [{ fault: '503' }] },
  {
    name: 'Too many requests',
    does: 'The provider accepts no requests for eight seconds.',
    faults: [{ fault: '429', retryAfter: '8' }],
  },
  {
    name: 'Number refused',
    does: 'The provider rejects the mobile number. The form rules cannot detect this.',
    faults: ['create', 'update'].map((on) => ({ fault: 'invalid', on })),
  },
  {
    name: 'No payment token',
    does: 'The provider returns the customer without a token.',
    faults: [{ fault: 'no_token', on: 'get' }],
  },
  {
    name: 'Wrong key',
    does: 'The provider rejects the credentials of the gateway.',
    faults: [{ fault: 'unauthorized' }],
  },
];

/** Arms faults of the sandbox to show how the checkout handles them. For this example only. */
export function FaultLab() {
  const [armed, setArmed] = useState<string>();
  const [problem, setProblem] = useState(false);

  const arm = useCallback(async (name: string | undefined, faults: readonly object[]) => {
    const send = async (method: string, body?: object) => {
      const answer = await fetch('/__admin/faults', { method, ...(body && { body: JSON.stringify(body) }) });
      if (!answer.ok) throw new Error('The sandbox refused.');
    };
    try {
      await send('DELETE');
      for (const fault of faults) await send('POST', { ...fault, times: 1_000_000 });
      setArmed(name);
      setProblem(false);
    } catch {
      setProblem(true);
    }
  }, []);
  // Faults that were armed before a reload are unknown here, so disarm them.
  useEffect(() => void arm(undefined, []), [arm]);

  return (
    <details className="lab">
      <summary>
        <span className="chip">Sandbox</span> What should go wrong?
        <span className="state" role="status">
          {problem ? 'The sandbox does not answer.' : armed && `Now: ${armed}`}
        </span>
      </summary>
      <div className="scenes">
        <button
          type="button"
          className="well"
          aria-pressed={armed === undefined}
          onClick={() => void arm(undefined, [])}
        >
          Nothing
          <small>The provider is well.</small>
        </button>
        {scenes.map(({ name, does, faults }) => (
          <button type="button" key={name} aria-pressed={armed === name} onClick={() => void arm(name, faults)}>
            {name}
            <small>{does}</small>
          </button>
        ))}
      </div>
    </details>
  );
}
