//! Tasks and collections as the service reports them.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The id of a task: opaque, some look like UUIDs and some do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of a task: an open set, so words of tomorrow are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// Waits for a person: `confirm`.
    Confirm,
    /// Finished: `done` or `success`.
    Done,
    /// Ended without a result: `fail` or `failed`.
    Failed(String),
    /// Still going: `init`, `queued`, `running`, `confirmed`, or a word not known here.
    Going(String),
}

impl TaskState {
    fn parse(word: &str) -> Self {
        match word {
            "confirm" => Self::Confirm,
            "done" | "success" => Self::Done,
            "fail" | "failed" => Self::Failed(word.to_owned()),
            other => Self::Going(other.to_owned()),
        }
    }

    /// The state as the service spells it.
    pub fn name(&self) -> &str {
        match self {
            Self::Confirm => "confirm",
            Self::Done => "done",
            Self::Failed(word) | Self::Going(word) => word,
        }
    }

    /// Whether the task will not change any more.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

/// The service's estimates of a task's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Rows that satisfied the filter.
    pub matched: Option<u64>,
    /// Rows looked at so far.
    pub scanned: Option<u64>,
    /// Rows to look at.
    pub total: Option<u64>,
}

/// A task as the service reports it. Every part but the id and the state may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The id.
    pub id: TaskId,
    /// The state.
    pub state: TaskState,
    /// For example `data_export`.
    pub task_type: Option<String>,
    /// The collection.
    pub collection: Option<String>,
    /// Where an export writes, `bucket/path`.
    pub tos_path: Option<String>,
    /// What an export writes, `parquet` or `json`.
    pub file_type: Option<String>,
    /// Progress in percent.
    pub percent: Option<u8>,
    /// Estimates of rows.
    pub counts: TaskCounts,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was created, as the service spells it.
    pub created: Option<String>,
    /// When it last changed, as the service spells it.
    pub updated: Option<String>,
}

impl Task {
    /// Reads a task of V1; `None` if it has no id or no state.
    pub(crate) fn from_v1(value: &Value) -> Option<Self> {
        let params = &value["task_params"];
        // A map, a text (the Go SDK knows that case), null, or missing.
        let process = &value["process_info"];
        let count = |key: &str| count(&process[key]);
        let error = text(&process["err_msg"]).or_else(|| text(process));
        Some(Self {
            id: TaskId(text(&value["task_id"])?),
            state: TaskState::parse(&text(&value["task_status"])?),
            task_type: text(&value["task_type"]),
            collection: text(&value["collection_name"])
                .or_else(|| text(&params["collection_name"])),
            tos_path: text(&params["tos_path"]),
            file_type: text(&params["file_type"]),
            percent: percent(&process["task_progress"]),
            counts: TaskCounts {
                matched: count("total_filter_count"),
                scanned: count("scan_data_count"),
                total: count("total_data_count"),
            },
            error,
            created: text(&value["create_time"]),
            updated: text(&value["update_time"]),
        })
    }
}

impl Task {
    /// Reads a task of V2; `None` if it has no id or no state.
    pub(crate) fn from_v2(value: &Value) -> Option<Self> {
        let config = &value["TaskConfig"];
        let process = &value["TaskProcessInfo"];
        let count = |key: &str| count(&process[key]);
        Some(Self {
            id: TaskId(text(&value["TaskId"])?),
            state: TaskState::parse(&text(&value["TaskStatus"])?),
            task_type: text(&value["TaskType"]),
            collection: text(&value["CollectionName"]).or_else(|| text(&config["CollectionName"])),
            tos_path: text(&config["TosPath"]),
            file_type: text(&config["FileType"]),
            percent: percent(&process["TaskProgress"]),
            counts: TaskCounts {
                matched: count("TotalFilterCount"),
                scanned: count("ScanDataCount"),
                total: count("TotalDataCount"),
            },
            error: text(&process["ErrorMessage"]).or_else(|| text(process)),
            created: text(&value["CreateTime"]),
            updated: text(&value["UpdateTime"]),
        })
    }
}

/// What the service says of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// Rows, an estimate.
    pub rows: Option<u64>,
    /// Names and types of its fields, as the service spells them.
    pub fields: Vec<(String, String)>,
}

impl Collection {
    pub(crate) fn from_v1(name: &str, value: &Value) -> Self {
        let fields = value["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        let field =
            |field: &Value| Some((text(&field["field_name"])?, text(&field["field_type"])?));
        Self {
            name: text(&value["collection_name"]).unwrap_or_else(|| name.to_owned()),
            rows: count(&value["stat"]["data_number"]),
            fields: fields.iter().filter_map(field).collect(),
        }
    }
}

/// Everything that the service says of a collection and its indexes, in the words of the interface that was
/// asked: fields with types and dimensions, the model that makes vectors, full-text search, indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    pub(crate) collection: Value,
    /// `None` until they are asked for.
    pub(crate) indexes: Option<Vec<Value>>,
}

impl Collection {
    pub(crate) fn from_v2(name: &str, value: &Value) -> Self {
        let fields = value["Fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        let field = |field: &Value| Some((text(&field["FieldName"])?, text(&field["FieldType"])?));
        Self {
            name: text(&value["CollectionName"]).unwrap_or_else(|| name.to_owned()),
            rows: count(&value["CollectionStats"]["DataCount"]),
            fields: fields.iter().filter_map(field).collect(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A count as a number or as digits in a string.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// `"50%"`, `"50"` or a number.
fn percent(value: &Value) -> Option<u8> {
    let number =
        value.as_f64().or_else(|| value.as_str()?.trim().trim_end_matches('%').parse().ok())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0–100")]
    let percent = number.clamp(0.0, 100.0) as u8;
    Some(percent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn process_info_may_be_a_map_a_text_null_or_missing() {
        let task = |process: Value| {
            Task::from_v1(&json!({"task_id": "t", "task_status": "fail", "process_info": process}))
                .unwrap()
        };
        let full = task(json!({"task_progress": "50%", "err_msg": "no grant",
            "total_data_count": "7", "scan_data_count": 3}));
        assert_eq!(full.percent, Some(50));
        assert_eq!(full.error.as_deref(), Some("no grant"));
        assert_eq!(
            (full.counts.total, full.counts.scanned, full.counts.matched),
            (Some(7), Some(3), None)
        );
        assert_eq!(task(json!("out of disk")).error.as_deref(), Some("out of disk"));
        assert_eq!(task(Value::Null).error, None);
        assert_eq!(Task::from_v1(&json!({"task_id": "t"})), None);
    }

    #[test]
    fn states_are_an_open_set() {
        let is_going = |word| matches!(TaskState::parse(word), TaskState::Going(_));
        assert!(["init", "queued", "running", "confirmed", "someday"].into_iter().all(is_going));
        assert_eq!(TaskState::parse("success"), TaskState::Done);
        assert_eq!(TaskState::parse("failed").name(), "failed");
    }
}
