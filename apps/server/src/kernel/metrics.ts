import cluster from 'node:cluster';
import { createServer, type Server } from 'node:http';
import { AggregatorRegistry, Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/** The node's Prometheus metrics: process figures and one histogram of requests by route. */
export interface Metrics extends MetricsSource {
  readonly registry: Registry;
  observeRequest(method: string, route: string, status: number, seconds: number): void;
  /** Requests answered and, of these, failed (5xx) since the start. */
  counts(): { requests: number; failures: number };
}

/** Creates the registry. Labels come from the route table, never from what a caller sent. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: 'gatehouse_http_request_duration_seconds',
    help: 'Time to answer, by method, route and status class',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });
  const failures = new Counter({
    name: 'gatehouse_http_failures_total',
    help: 'Answers with a 5xx status',
    registers: [registry],
  });
  let requestCount = 0;
  let failureCount = 0;
  // A primary asks its workers for theirs.
  AggregatorRegistry.setRegistries(registry);
  if (cluster.isWorker) answerPrimary();
  return {
    registry,
    text: () => registry.metrics(),
    observeRequest(method, route, status, seconds) {
      requestCount += 1;
      if (status >= 500) {
        failureCount += 1;
        failures.inc();
      }
      durations.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, seconds);
    },
    counts: () => ({ requests: requestCount, failures: failureCount }),
  };
}

/** The constructor is what makes a worker answer its primary. */
function answerPrimary(): object {
  return new AggregatorRegistry();
}

/** Where the text of `/metrics` comes from. */
export interface MetricsSource {
  text(): Promise<string>;
}

/** The sums over all workers of this primary. */
export function createClusterMetrics(): MetricsSource {
  const aggregator = new AggregatorRegistry();
  return { text: () => aggregator.clusterMetrics() };
}

/** Serves `GET /metrics` on a port of its own, so that it can be kept from the outside by the network. */
export async function serveMetrics(source: MetricsSource, options: { host: string; port: number }): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    source
      .text()
      .then((text) => response.writeHead(200, { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }).end(text))
      .catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return server;
}
