//! The two generations of VikingDB's interface: how each spells a call, and where in the answer things
//! are. Sources: the official Python SDKs `volcengine` 1.0.229 (V1) and `volcenginesdk-vikingdb` 5.0.54
//! (V2, control plane of version 2025-06-09).

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::export::{ExportSpec, Rows};
use crate::task::TaskId;

/// The version that V2's control plane is asked for.
const VERSION: &str = "2025-06-09";

/// Tasks on one page of V2's list. The SDK allows 100, the vendor's page 1791153 says that 20 are shown at most.
pub(crate) const PAGE_TASKS: u64 = 20;

/// Indexes on one page of V2's list. A collection has a handful.
pub(crate) const PAGE_INDEXES: u64 = 100;

/// The type of the tasks that are all we create.
const EXPORT: &str = "data_export";

/// The states that V2's list is asked for where it wants one, in the order in which a task takes them: a task that
/// moves on between two requests is in a list that is still to come.
pub(crate) const TASK_STATES: [&str; 7] =
    ["init", "queued", "running", "confirm", "confirmed", "done", "fail"];

/// Those that no task leaves.
pub(crate) const FINAL_STATES: [&str; 2] = ["done", "fail"];

/// A generation of the interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// REST paths, `/api/task/*`.
    #[default]
    V1,
    /// The control plane in the style of `OpenAPI`, `Action=…VikingdbTask`.
    V2,
}

/// Which collection of V2 is meant, besides its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// The project of the collection; the account's default one if `None`.
    pub project: Option<String>,
    /// The collection's resource id, which then stands for its name.
    pub resource_id: Option<String>,
}

impl Owner {
    /// Sets [`project`](Self::project).
    #[must_use]
    pub fn with_project(self, project: impl Into<Option<String>>) -> Self {
        Self { project: project.into(), ..self }
    }

    /// Sets [`resource_id`](Self::resource_id).
    #[must_use]
    pub fn with_resource_id(self, resource_id: impl Into<Option<String>>) -> Self {
        Self { resource_id: resource_id.into(), ..self }
    }
}

/// What is asked of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Collection(&'a str),
    Confirm(&'a TaskId),
    Create(&'a ExportSpec),
    Drop(&'a TaskId),
    /// The indexes of a collection, and in V2 this page of them, from 1.
    Indexes {
        collection: &'a str,
        page: u64,
    },
    Task(&'a TaskId),
    /// The tasks of a collection; in V2 the export tasks in one state or in any, and this page of them, from 1.
    Tasks {
        collection: &'a str,
        state: Option<&'static str>,
        page: u64,
    },
}

/// A call as one generation spells it.
#[derive(Debug)]
pub(crate) struct Spelling {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) query: Vec<(&'static str, &'static str)>,
    pub(crate) body: Value,
}

impl Api {
    /// The service name in signatures.
    pub fn service(self) -> &'static str {
        match self {
            Self::V1 => "air",
            Self::V2 => "vikingdb",
        }
    }

    pub(crate) fn spell(self, call: Call<'_>, owner: &Owner) -> Spelling {
        match self {
            Self::V1 => spell_v1(call),
            Self::V2 => spell_v2(call, owner),
        }
    }
}

fn spell_v1(call: Call<'_>) -> Spelling {
    let (name, path, body) = match call {
        Call::Collection(name) => {
            ("collection/info", "/api/collection/info", json!({"collection_name": name}))
        }
        Call::Confirm(id) => (
            "task/update",
            "/api/task/update",
            json!({"task_id": id.0, "task_status": "confirmed"}),
        ),
        Call::Create(spec) => ("task/create", "/api/task/create", export_v1(spec)),
        Call::Drop(id) => ("task/drop", "/api/task/drop", json!({"task_id": id.0})),
        Call::Indexes { collection, .. } => {
            ("index/list", "/api/index/list", json!({"collection_name": collection}))
        }
        Call::Task(id) => ("task/info", "/api/task/info", json!({"task_id": id.0})),
        Call::Tasks { .. } => ("task/list", "/api/task/list", json!({})),
    };
    // A GET with a body, which is part of the signature: that is the interface.
    let is_get = matches!(call, Call::Collection(_) | Call::Indexes { .. });
    let method = if is_get { Method::GET } else { Method::POST };
    Spelling { name, method, path, query: Vec::new(), body }
}

/// Everything goes into `task_params`, as the official SDKs do; the vendor's page shows `tos_path`
/// outside in one place.
fn export_v1(spec: &ExportSpec) -> Value {
    let mut params = json!({
        "collection_name": spec.collection,
        "tos_path": spec.to.as_task_param(),
        "file_type": spec.file_type.name(),
    });
    match &spec.rows {
        Rows::All => params["export_all"] = Value::Bool(true),
        Rows::Filtered(filter) => params["filter_conds"] = filter.to_json(),
    }
    json!({ "task_type": EXPORT, "task_params": params })
}

fn spell_v2(call: Call<'_>, owner: &Owner) -> Spelling {
    let (name, body) = match call {
        Call::Collection(name) => ("GetVikingdbCollection", collection_v2(name, owner)),
        Call::Confirm(id) => {
            ("UpdateVikingdbTask", json!({"TaskId": id.0, "TaskStatus": "confirmed"}))
        }
        Call::Create(spec) => ("CreateVikingdbTask", export_v2(spec, owner)),
        Call::Drop(id) => ("DeleteVikingdbTask", json!({"TaskId": id.0})),
        Call::Indexes { collection, page } => {
            let filter = json!({"CollectionName": [collection]});
            let mut body = json!({"Filter": filter, "PageNumber": page, "PageSize": PAGE_INDEXES});
            if let Some(project) = &owner.project {
                body["ProjectName"] = project.as_str().into();
            }
            ("ListVikingdbIndex", body)
        }
        Call::Task(id) => ("GetVikingdbTask", json!({"TaskId": id.0})),
        Call::Tasks { collection, state, page } => {
            let mut body = collection_v2(collection, owner);
            body["TaskType"] = EXPORT.into();
            if let Some(state) = state {
                body["TaskStatus"] = state.into();
            }
            body["PageNumber"] = page.into();
            body["PageSize"] = PAGE_TASKS.into();
            ("ListVikingdbTask", body)
        }
    };
    let query = vec![("Action", name), ("Version", VERSION)];
    Spelling { name, method: Method::POST, path: "/", query, body }
}

fn collection_v2(name: &str, owner: &Owner) -> Value {
    let mut body = match &owner.resource_id {
        Some(id) => json!({"ResourceId": id}),
        None => json!({"CollectionName": name}),
    };
    if let Some(project) = &owner.project {
        body["ProjectName"] = project.as_str().into();
    }
    body
}

fn export_v2(spec: &ExportSpec, owner: &Owner) -> Value {
    let mut config = json!({
        "TosPath": spec.to.as_task_param(),
        "FileType": spec.file_type.name(),
        "ExportAll": spec.rows == Rows::All,
    });
    if let Rows::Filtered(filter) = &spec.rows {
        config["FilterConds"] = filter.to_json();
    }
    if !spec.output_fields.is_empty() {
        config["OutputFields"] = spec.output_fields.as_slice().into();
    }
    let mut body = collection_v2(&spec.collection, owner);
    body["TaskType"] = EXPORT.into();
    body["TaskConfig"] = config;
    body
}

/// Whether there are pages of V2's list behind one that brought `came` items of the `most` that were asked for, the last
/// of `seen`. A page may hold fewer than were asked for.
pub(crate) fn has_more(data: &Value, came: u64, most: u64, seen: u64) -> bool {
    let has_more = data["TotalCount"].as_u64().map_or(came >= most, |total| total > seen);
    came > 0 && has_more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{FileType, TosPath};
    use crate::filter::Filter;

    fn spec(rows: Rows) -> ExportSpec {
        let to = TosPath::parse("tos://bucket/a/b").unwrap();
        let output_fields = vec!["id".to_owned()];
        let file_type = FileType::Parquet;
        ExportSpec { collection: "c".to_owned(), rows, to, file_type, output_fields }
    }

    #[test]
    fn v1_spells_an_export_as_the_official_sdk_does() {
        let vectors = include_str!("../../../fixtures/vectors/volc-signature.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let captured = &vectors["sdk_requests"]["requests"][0];
        assert_eq!(captured["sdk_call"], "create_task(TaskType.Data_export, params)");
        let body: Value = serde_json::from_str(captured["body_utf8"].as_str().unwrap()).unwrap();
        let filter = r#"[{"op":"must","field":"city","conds":["beijing"]},{"op":"range","field":"user_id","gt":0,"lt":4}]"#;
        let spec = ExportSpec {
            collection: "example".to_owned(),
            to: TosPath::parse("bucket_name/dir_name").unwrap(),
            ..spec(Rows::Filtered(Filter::parse(filter).unwrap()))
        };
        assert_eq!(Api::V1.spell(Call::Create(&spec), &Owner::default()).body, body);
    }

    #[test]
    fn v2_spells_an_export_as_the_official_sdk_does() {
        let owner = Owner { project: Some("p".to_owned()), resource_id: None };
        let all = Api::V2.spell(Call::Create(&spec(Rows::All)), &owner);
        assert_eq!(all.query, [("Action", "CreateVikingdbTask"), ("Version", "2025-06-09")],);
        assert_eq!(
            all.body,
            json!({"CollectionName": "c", "ProjectName": "p", "TaskType": "data_export", "TaskConfig":
                {"TosPath": "bucket/a/b", "FileType": "parquet", "ExportAll": true, "OutputFields": ["id"]}}),
        );
        let filter = Filter::parse(r#"[{"op":"must","field":"f","conds":[1]}]"#).unwrap();
        let owner = Owner { project: None, resource_id: Some("r".to_owned()) };
        let filtered = Api::V2.spell(Call::Create(&spec(Rows::Filtered(filter))), &owner).body;
        assert_eq!(filtered["ResourceId"], "r");
        assert_eq!(filtered.get("CollectionName"), None);
        assert_eq!(filtered["TaskConfig"]["ExportAll"], false);
        assert_eq!(filtered["TaskConfig"]["FilterConds"][0]["op"], "must");
    }

    #[test]
    fn pages_are_read_to_the_last() {
        let data = |total: u64| json!({"TotalCount": total});
        assert!(has_more(&data(21), 20, 20, 20) && has_more(&data(101), 10, 20, 90));
        assert!(!has_more(&data(20), 20, 20, 20) && !has_more(&data(101), 0, 20, 90));
        // Without a total a page that is not full is the last one.
        assert!(has_more(&Value::Null, 20, 20, 20) && !has_more(&Value::Null, 19, 20, 39));
    }
}
