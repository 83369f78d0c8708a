/**
 * Two hundred writers publish into one namespace through three nodes, and one node is killed in the middle. Each number
 * is won once, none is left out, every loser is told which version won, what was acknowledged is there, what one node has
 * answered another one shows at once, and a watcher on yet another sees every version in order.
 */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bundleHash } from '@gatehouse/configuration';
import { administrator, createService, signIn } from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { until } from './support/conditions.ts';
import { type Answer, BrokenConnection, call } from './support/http.ts';

const writers = 200;
const path = '/v1/services/shop/default';

interface Summary {
  version: number;
  parent_version: number;
  content_hash: string;
  hash: string;
  labels: { writer?: string };
}

describe('two hundred writers on one namespace through three nodes', () => {
  let cluster: Cluster;
  let token: string;
  let serviceToken: string;
  const agents = [0, 1, 2].map(() => new Agent({ keepAlive: true, maxSockets: 30 }));
  const url = (node: number) => cluster.nodes[node % 3]?.url ?? '';
  const ask = (node: number, rest: string, json?: object): Promise<Answer> => {
    const agent = agents[node % 3];
    return call(url(node) + rest, {
      token,
      headers: { 'gatehouse-organization': 'acme' },
      ...(json === undefined ? {} : { json }),
      ...(agent === undefined ? {} : { agent }),
    });
  };

  before(async () => {
    cluster = await startCluster({ logLevel: 'warn' });
    token = (await signIn(url(0), cluster.operator)).access_token;
    const made = await call(`${url(0)}/v1/organizations`, { token, json: { name: 'acme' } });
    assert.equal(made.status, 201, made.body);
    const admin = administrator(token, 'acme');
    await createService(url(1), admin, 'shop', {});
    const namespace = await admin('POST', `${url(2)}/v1/services/namespaces`, {
      service: 'shop',
      namespace: 'default',
      configuration: {},
    });
    assert.equal(namespace.status, 201, namespace.body);
    const tokens = await admin('POST', `${url(0)}/v1/services/shop/tokens`, { name: 'watcher' });
    assert.equal(tokens.status, 201, tokens.body);
    serviceToken = tokens.json<{ authorization_token: string }>().authorization_token;
  });
  after(async () => {
    for (const agent of agents) agent.destroy();
    await cluster?.close();
  });

  /** Reads the events of the namespace at a node, version after version. */
  const watch = (node: number) => {
    const seen: number[] = [];
    let text = '';
    const sent = request(`${url(node)}${path}/events?since=0`, {
      headers: { authorization: `Bearer ${serviceToken}` },
    });
    sent.on('response', (response) => {
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const end = text.lastIndexOf('\n\n');
        for (const match of text.slice(0, end + 2).matchAll(/^data: \{"version":(\d+)\}$/gm))
          seen.push(Number(match[1]));
        text = text.slice(end + 2);
      });
      response.on('error', () => undefined);
    });
    sent.on('error', () => undefined);
    sent.end();
    return { seen, stop: () => sent.destroy() };
  };

  it('numbers without a gap or a repeat, through a kill; nothing that was acknowledged is lost', async (t) => {
    const victim = 1;
    const watcher = watch(2);
    const won = new Map<number, string>();
    const wrong: string[] = [];
    let lost = 0;
    let unknown = 0;
    let killed: Promise<void> | undefined;

    /** Whoever lost the connection does not know whether it was published: the labels say. */
    const findOwn = async (node: number, writer: string): Promise<number | undefined> => {
      const found = await ask(node, `${path}/versions?label=writer:${writer}`);
      return found.json<{ items: Summary[] }>().items[0]?.version;
    };

    const acknowledge = async (writer: string, version: number, node: number) => {
      if (won.has(version)) wrong.push(`${version} was won by ${won.get(version)} and ${writer}`);
      won.set(version, writer);
      if (won.size === writers / 4) killed = cluster.nodes[victim]?.kill();
      // Another node that lives shows it at once.
      const other = [node + 1, node + 2].map((index) => index % 3).find((index) => index !== victim) ?? 0;
      const read = await ask(other, `${path}/${version}`);
      const by =
        read.status === 200 ? read.json<{ configuration: { WRITER: string } }>().configuration.WRITER : read.body;
      if (by !== writer) wrong.push(`${version} of ${writer} is ${by} at the node ${other}`);
      const latest = (await ask(other, `${path}/latest`)).json<{ version: number }>().version;
      if (latest < version) wrong.push(`the node ${other} is at ${latest} after ${version} was acknowledged`);
    };

    const write = async (index: number): Promise<void> => {
      const writer = `w${index}`;
      let node = index;
      let parent = 1;
      for (let attempt = 0; ; attempt += 1) {
        try {
          const answer = await ask(node, path, {
            parent_version: parent,
            configuration: { WRITER: writer },
            labels: { writer },
          });
          if (answer.status === 201) {
            const { version, parent_version } = answer.json<Summary>();
            if (version !== parent + 1 || parent_version !== parent) wrong.push(`${writer}: ${answer.body}`);
            await acknowledge(writer, version, node);
            return;
          }
          const { code, parent_version, latest_version } = answer.json<Record<string, unknown>>();
          const told = Number(latest_version);
          if (
            answer.status !== 409 ||
            code !== 'configuration.version_conflict' ||
            parent_version !== parent ||
            told <= parent
          ) {
            wrong.push(`${writer} on ${parent}: ${answer.status} ${answer.body}`);
            return;
          }
          lost += 1;
          parent = told;
        } catch (error) {
          if (!(error instanceof BrokenConnection)) throw error;
          if (node % 3 !== victim) wrong.push(`${writer} lost a node that was not killed: ${error.message}`);
          node += 1;
          unknown += 1;
          const version = await findOwn(node, writer);
          if (version !== undefined) {
            won.set(version, writer);
            return;
          }
        }
        // Spread over time, as those who are left have to be; then on top of what is the newest by now.
        await delay(((index * 7 + attempt * 13) % 61) * (writers - won.size) * 0.5);
        const reader = node % 3 === victim ? node + 1 : node;
        parent = (await ask(reader, `${path}/latest`)).json<{ version: number }>().version;
      }
    };
    await Promise.all(Array.from({ length: writers }, (_, index) => write(index)));
    await killed;
    assert.deepEqual(wrong, []);
    assert.equal(won.size, writers);
    assert.ok(lost > writers / 2, `${lost} conflicts: they met`);

    const last = writers + 1;
    for (const node of [0, 2]) {
      const items: Summary[] = [];
      let cursor = '';
      do {
        const page = (await ask(node, `${path}/versions?limit=150${cursor}`)).json<{
          items: Summary[];
          next_cursor?: string;
        }>();
        items.push(...page.items);
        cursor = page.next_cursor === undefined ? '' : `&cursor=${page.next_cursor}`;
      } while (cursor !== '');
      const history = items.toReversed();
      assert.deepEqual(
        history.map((item) => item.version),
        Array.from({ length: last }, (_, index) => index + 1),
      );
      let previous_hash = '';
      for (const { version, parent_version, hash, content_hash, labels } of history) {
        assert.equal(parent_version, version - 1);
        const place = { organization: 'acme', service: 'shop', namespace: 'default', version };
        assert.equal(hash, bundleHash({ ...place, previous_hash, content_hash }), `version ${version} is chained`);
        if (version > 1) assert.equal(labels.writer, won.get(version));
        previous_hash = hash;
      }
    }
    await until('the watcher has seen the last version', () => watcher.seen.at(-1) === last);
    watcher.stop();
    assert.deepEqual(
      watcher.seen,
      Array.from({ length: last }, (_, index) => index + 1),
    );
    t.diagnostic(`${lost} conflicts, ${unknown} broken connections`);
  });
});
