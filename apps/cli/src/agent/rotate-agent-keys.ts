import { createAgentIdentity } from '@gatehouse/sdk';
import type { AgentOptions } from './agent-options.ts';
import { agentError } from './session.ts';

/** Replaces the keys of an enrolled agent; returns its id. */
export async function rotateAgentKeys(options: AgentOptions): Promise<string> {
  try {
    const identity = await createAgentIdentity({
      url: options.url,
      ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
      service: options.service,
      stateDir: options.stateDir,
    });
    await identity.rotateKeys();
    return identity.agentId;
  } catch (error) {
    throw agentError(error, options);
  }
}
