import { useCallback, useEffect, useState } from 'react';

/** The choices of the panel and the sandbox faults that each one arms. */
const choices: readonly { name: string; does: string; faults: readonly object[] }[] = [
  {
    name: 'Lost responses',
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
    name: 'Number rejected',
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
export function FaultPanel() {
  const [armed, setArmed] = useState<string>();
  const [problem, setProblem] = useState(false);

  const arm = useCallback(async (name: string | undefined, faults: readonly object[]) => {
    const send = async (method: string, body?: object) => {
      const answer = await fetch('/__admin/faults', { method, ...(body && { body: JSON.stringify(body) }) });
      if (!answer.ok) throw new Error('The sandbox rejected the request.');
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
    <details className="faults">
      <summary>
        <span className="chip">Sandbox</span> Simulate a failure
        <span className="state" role="status">
          {problem ? 'The sandbox does not respond.' : armed && `Active: ${armed}`}
        </span>
      </summary>
      <div className="choices">
        <button
          type="button"
          className="none"
          aria-pressed={armed === undefined}
          onClick={() => void arm(undefined, [])}
        >
          None
          <small>The provider works normally.</small>
        </button>
        {choices.map(({ name, does, faults }) => (
          <button type="button" key={name} aria-pressed={armed === name} onClick={() => void arm(name, faults)}>
            {name}
            <small>{does}</small>
          </button>
        ))}
      </div>
    </details>
  );
}
