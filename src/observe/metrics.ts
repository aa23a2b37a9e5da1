import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** As csi-lib-utils has them, so that the dashboards for all CSI drivers fit. */
const RPC_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A figure that is read when somebody asks for it; docs/metrics.md lists all of them. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** A counter's samples are what was counted since the process that counts began. */
  readonly type: 'gauge' | 'counter';
  readonly labels?: readonly string[];
  read(): Iterable<Sample> | Promise<Iterable<Sample>>;
}

/** The metrics of a process in the Prometheus text format. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Histogram;

  constructor(driverName: string) {
    this.#calls = new Histogram({
      name: 'csi_plugin_operations_seconds',
      help: 'Time that CSI calls took, by their outcome.',
      labelNames: ['driver_name', 'method_name', 'grpc_status_code'],
      buckets: RPC_BUCKETS,
      registers: [this.#registry],
    });
    this.called = (method, code, seconds) => {
      this.#calls.observe(
        { driver_name: driverName, method_name: method, grpc_status_code: goName(code) },
        seconds,
      );
    };
  }

  /** Counts one CSI call: `/csi.v1.Node/NodeStageVolume`, `FAILED_PRECONDITION` or `OK`. */
  readonly called: (method: string, code: string, seconds: number) => void;

  add(metrics: Iterable<Metric>): void {
    for (const metric of metrics) this.#add(metric);
  }

  /** A metric that cannot be read now is left out: the others are worth having. */
  #add({ name, help, type, labels = [], read }: Metric): void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    const collect = (set: (sample: Sample) => void, reset: () => void) => async () => {
      reset();
      try {
        for (const sample of await read()) set(sample);
      } catch {
        reset();
      }
    };
    if (type === 'gauge') {
      const gauge: Gauge = new Gauge({
        ...options,
        collect: collect(
          ({ labels: own = {}, value }) => gauge.set(own, value),
          () => gauge.reset(),
        ),
      });
    } else {
      const counter: Counter = new Counter({
        ...options,
        collect: collect(
          ({ labels: own = {}, value }) => counter.inc(own, value),
          () => counter.reset(),
        ),
      });
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** `FAILED_PRECONDITION` as Go, and so every other CSI driver, has it: `FailedPrecondition`. */
function goName(code: string): string {
  if (code === 'OK') return code;
  if (code === 'CANCELLED') return 'Canceled';
  const words = code.toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
