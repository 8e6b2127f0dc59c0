/** What the heart says and hears, in the shapes of the client and of the worker. No I/O. */

import type { HeartbeatBatchResult, WorkerReport } from './models.ts';
import type { News } from './worker-core.ts';
import type { Beat, HeartSettings, HeldView, ReportView } from './worker-heart.ts';

/** A heartbeat that was answered with *news*. */
export function beatOf(answered: {
  startedAt: number;
  endedAt: number;
  sent: readonly HeldView[];
  report: ReportView;
  news: News;
}): Beat {
  const { startedAt, endedAt, sent, report, news } = answered;
  const keys = (ids: ReadonlySet<string>): string[] =>
    sent.filter((held) => ids.has(held.id)).map((held) => held.key);
  return {
    kind: 'beat',
    startedAt,
    endedAt,
    renewed: keys(news.renewed),
    lost: keys(news.lost),
    cancelled: [...news.cancelled],
    deaf: news.deaf,
    report,
  };
}

/** What a heartbeat that leaves at *now* says of the worker. */
export function reportOf(settings: HeartSettings, report: ReportView, now: number): WorkerReport {
  const { lastPullAt } = report;
  return {
    id: settings.workerId,
    queues: settings.queues,
    concurrency: settings.concurrency,
    free: report.free,
    state: report.state,
    lastPullMs: lastPullAt === null ? undefined : Math.max(Math.round(now - lastPullAt), 0),
  };
}

/** Several answers as one. */
export function joined(answers: readonly HeartbeatBatchResult[]): HeartbeatBatchResult {
  return {
    results: answers.flatMap((answer) => answer.results),
    lost: answers.flatMap((answer) => answer.lost),
    cancelled: answers.flatMap((answer) => answer.cancelled),
    deaf: answers.some((answer) => answer.deaf),
  };
}
