import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ArmedFault, faultNames, faults } from './faults.ts';
import type { Sandbox } from './sandbox.ts';

/** Answers `/__admin/…`: arms faults, lists and clears calls. For loopback clients only. */
export function answerAdmin(parts: {
  request: IncomingMessage;
  response: ServerResponse;
  body: string;
  sandbox: Sandbox;
}): void {
  const { request, response, body, sandbox } = parts;
  const reply = (status: number, content: object) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(content, null, 2)}\n`);
  };
  // Prevents DNS rebinding: a web page can resolve its own host name to this machine, but the browser sends that name in `Host`.
  if (!/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(request.headers.host ?? '')) {
    return reply(403, { error: 'The admin address answers under a loopback name only.' });
  }
  switch (`${request.method} ${(request.url ?? '').replace(/\/$/, '')}`) {
    case 'GET /__admin':
      return reply(200, {
        faults: Object.entries(faults).map(([name, fault]) => ({ name, magicId: `fault_${name}`, ...describe(fault) })),
        addresses: [
          'POST /__admin/faults',
          'DELETE /__admin/faults',
          'GET /__admin/calls',
          'DELETE /__admin/calls',
          'GET /__admin/customers',
          'POST /__admin/reset',
        ],
      });
    case 'POST /__admin/faults': {
      const fault = readFault(body);
      if (typeof fault === 'string') return reply(400, { error: fault });
      sandbox.arm(fault);
      return reply(201, { armed: fault });
    }
    case 'DELETE /__admin/faults':
      sandbox.disarm();
      return reply(200, {});
    case 'GET /__admin/calls':
      return reply(
        200,
        sandbox.calls.map(({ headers: _, closed: __, ...call }) => call),
      );
    case 'DELETE /__admin/calls':
      sandbox.clearCalls();
      return reply(200, {});
    case 'GET /__admin/customers':
      return reply(200, [...sandbox.customers]);
    case 'POST /__admin/reset':
      sandbox.reset();
      return reply(200, {});
    default:
      return reply(404, { error: 'There is no such admin address. GET /__admin lists them.' });
  }
}

function describe({ row, meaning }: { row?: string; meaning: string }) {
  return { ...(row !== undefined && { row }), meaning };
}

/** Parses a fault. Returns an error text for invalid input. */
function readFault(body: string): ArmedFault | string {
  let wanted: Partial<Record<string, unknown>>;
  try {
    wanted = JSON.parse(body) as Partial<Record<string, unknown>>;
  } catch {
    return 'The body must be JSON, for example {"fault":"503","on":"get","times":2}.';
  }
  const fault = faultNames.find((name) => name === String(wanted?.['fault']));
  if (fault === undefined) return `"fault" is one of ${faultNames.join(', ')}.`;
  const { on, pathId, times, afterCommit, retryAfter, delayMs } = wanted;
  if (on !== undefined && on !== 'create' && on !== 'get' && on !== 'update') return '"on" is create, get or update.';
  return {
    fault,
    ...(on !== undefined && { on }),
    ...(typeof pathId === 'string' && { pathId }),
    ...(typeof times === 'number' && { times }),
    ...(typeof afterCommit === 'boolean' && { afterCommit }),
    ...((typeof retryAfter === 'string' || retryAfter === null) && { retryAfter }),
    ...(typeof delayMs === 'number' && { delayMs }),
  };
}
