package fake

// Limits are what the server announces and holds requests to, as spec/wire.yaml lists them; a test compares the two.
var Limits = map[string]any{
	"line_bytes": LineBytes, "batch_items": batchItems, "pull_count": pullCount, "data_bytes": dataBytes, "result_bytes": dataBytes,
	"metadata_bytes": metadataBytes, "json_depth": jsonDepth, "name_bytes": nameBytes, "queue_bytes": queueBytes,
	"key_bytes": keyBytes, "tags": tagsMax, "tag_bytes": tagBytes, "depends_on": dependsOnMax, "dag_depth": dagDepth,
	"queues_per_pull": queuesPerPull, "names_per_pull": namesPerPull, "error_bytes": errorBytes, "message_bytes": messageBytes,
	"logs": logsKept, "errors": errorsKept, "backoff_schedule": scheduleMax, "wait_ms": waitMS, "lease_ms_min": leaseMSMin,
	"lease_ms_max": leaseMSMax, "duration_ms": durationMS, "max_attempts": attemptsMax, "find_limit": findLimit,
	"token_bytes": keyBytes, "unauthenticated_line_bytes": UnauthenticatedLineBytes, "rid_max": RIDMax,
}

// LineBytes is the length of the longest line and body, UnauthenticatedLineBytes that of a line before the token has come, and
// RIDMax the greatest number of a request.
const (
	LineBytes                      = 4_194_304
	UnauthenticatedLineBytes       = 65_536
	RIDMax                   int64 = 9_007_199_254_740_991
)

const (
	batchItems          = 1000
	pullCount           = 1000
	dataBytes           = 1_048_576
	metadataBytes       = 65_536
	jsonDepth           = 128
	nameBytes           = 1024
	queueBytes          = 256
	keyBytes            = 1024
	tagsMax             = 32
	tagBytes            = 256
	dependsOnMax        = 256
	dagDepth            = 100
	queuesPerPull       = 64
	namesPerPull        = 64
	errorBytes          = 10_240
	messageBytes        = 1024
	logsKept            = 100
	errorsKept          = 20
	scheduleMax         = 64
	waitMS              = 60_000
	leaseMSMin          = 1000
	leaseMSMax          = 43_200_000
	durationMS    int64 = 3_155_760_000_000
	attemptsMax         = 10_000
	findLimit           = 1000
	flowLimit           = 1000
)

// Defaults are what a field means that is left out, in milliseconds where its name ends in _ms.
var Defaults = map[string]any{
	"lease_ms": int64(30_000), "heartbeat_ms": int64(10_000), "max_attempts": int64(3), "backoff": "exponential",
	"backoff_delay_ms": int64(1000), "backoff_max_ms": int64(3_600_000), "jitter": 0.0, "priority": int64(0),
	"find_limit": int64(50), "dlq_limit": int64(50), "retention_completed_ms": int64(604_800_000),
	"retention_dlq_ms": int64(7_776_000_000), "retention_cancelled_ms": int64(604_800_000), "tombstone_ms": int64(60_000),
}

func byDefault(name string) int64 { return Defaults[name].(int64) }
