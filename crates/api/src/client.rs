//! [`Client`]: sends signed requests and reads the answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::answer;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::export::{ExportSpec, TosPath};
use crate::sign::{self, Scope};
use crate::task::{Collection, Task, TaskId};

/// The service name of V1 in signatures.
const SERVICE: &str = "air";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A `Retry-After` beyond this is not waited for in one step.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Reads are tried this often: four times more, within about ten seconds.
const READ_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(300))
    .with_max_delay(Duration::from_secs(5))
    .with_max_times(4)
    .with_jitter();

/// How often the list of tasks is searched after an unclear answer. The service may show a task
/// a moment after it accepted it.
const ADOPT_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(4))
    .with_max_times(4);

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A client of one VikingDB service with one set of keys. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    credentials: Credentials,
    clock: Clock,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// `clock` gives the time that goes into signatures. Proxies are taken from the usual
    /// environment variables, except for services on this machine.
    pub fn new(
        endpoint: Endpoint,
        credentials: Credentials,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        // A redirect would carry the session token to another host.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("viking-export/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|source| Error::Transport {
            call: "start",
            host: endpoint.host(),
            source: Box::new(source),
        })?;
        Ok(Self { http, endpoint, credentials, clock: Arc::new(clock) })
    }

    /// The address of the service.
    pub fn url(&self) -> &str {
        self.endpoint.url()
    }

    /// Whether the service runs on this machine.
    pub fn is_local(&self) -> bool {
        self.endpoint.is_loopback()
    }

    /// The task that writes to this path, if the list of tasks has one. The service may show a
    /// task a moment after it accepted it, so the list is read several times.
    pub async fn find_export(&self, to: &TosPath) -> Result<Option<TaskId>, Error> {
        let tos_path = to.as_task_param();
        let search = || async { self.search(&tos_path).await?.ok_or(None) };
        let found = search.retry(ADOPT_BACKOFF).when(|error: &Option<Error>| error.is_none()).await;
        match found {
            Ok(task) => Ok(Some(task.id)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Creates an export task. The request is sent once. If its fate is unclear, the list of
    /// tasks is searched for one that writes to the same path, and that task is returned.
    pub async fn submit_export(&self, spec: &ExportSpec) -> Result<TaskId, Error> {
        let call = "task/create";
        let created = self.send(Method::POST, "/api/task/create", call, &spec.to_body()).await;
        let unclear = match created {
            Ok(data) => match data["task_id"].as_str() {
                Some(id) => return Ok(TaskId(id.to_owned())),
                None => Error::Answer { call, detail: "it has no `task_id`".to_owned() },
            },
            Err(error) if error.is_unclear() => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(error = %unclear, "no clear answer to create; searching the list of tasks");
        match self.find_export(&spec.to).await {
            Ok(Some(task)) => Ok(task),
            // Found or not to be looked for: either way nobody knows.
            Ok(None) | Err(_) => {
                Err(Error::Unclear { tos_path: spec.to.as_task_param(), source: Box::new(unclear) })
            }
        }
    }

    /// Reads one task.
    pub async fn task(&self, id: &TaskId) -> Result<Task, Error> {
        let call = "task/info";
        let data =
            self.read(Method::POST, "/api/task/info", call, json!({"task_id": id.0})).await?;
        Task::from_v1(&data).ok_or_else(|| Error::Answer {
            call,
            detail: "the task has no id or no state".to_owned(),
        })
    }

    /// Lists the tasks of all collections. Entries without an id or a state are left out.
    pub async fn tasks(&self) -> Result<Vec<Task>, Error> {
        let call = "task/list";
        let data = self.read(Method::POST, "/api/task/list", call, json!({})).await?;
        match &data {
            Value::Array(tasks) => Ok(tasks.iter().filter_map(Task::from_v1).collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(Error::Answer { call, detail: "`data` is not an array".to_owned() }),
        }
    }

    /// Confirms a task that waits for it.
    pub async fn confirm(&self, id: &TaskId) -> Result<(), Error> {
        let body = json!({"task_id": id.0, "task_status": "confirmed"});
        self.send(Method::POST, "/api/task/update", "task/update", &body).await.map(drop)
    }

    /// Drops a task. The vendor's pages say that a running one is terminated.
    pub async fn drop_task(&self, id: &TaskId) -> Result<(), Error> {
        let body = json!({"task_id": id.0});
        self.send(Method::POST, "/api/task/drop", "task/drop", &body).await.map(drop)
    }

    /// Reads what the service says of a collection.
    pub async fn collection(&self, name: &str) -> Result<Collection, Error> {
        let body = json!({"collection_name": name});
        // A GET with a body, which is part of the signature: that is the interface.
        let path = "/api/collection/info";
        let data = self.read(Method::GET, path, "collection/info", body).await?;
        Ok(Collection::from_v1(name, &data))
    }

    async fn search(&self, tos_path: &str) -> Result<Option<Task>, Option<Error>> {
        let tasks = self.tasks().await.map_err(Some)?;
        let is_ours = |task: &Task| {
            task.tos_path.as_deref().map(|path| path.trim_end_matches('/')) == Some(tos_path)
        };
        Ok(tasks.into_iter().find(is_ours))
    }

    /// Sends a call that may be repeated.
    async fn read(
        &self,
        method: Method,
        path: &str,
        call: &'static str,
        body: Value,
    ) -> Result<Value, Error> {
        (|| self.send(method.clone(), path, call, &body))
            .retry(READ_BACKOFF)
            .when(Error::is_passing)
            .adjust(|error, delay| match (error, delay) {
                (Error::Refused(refusal), Some(delay)) => {
                    let asked = refusal.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                    Some(delay.max(asked))
                }
                (_, delay) => delay,
            })
            .notify(|error, delay| tracing::warn!(%error, ?delay, "trying again"))
            .await
    }

    /// Sends a call once.
    async fn send(
        &self,
        method: Method,
        path: &str,
        call: &'static str,
        body: &Value,
    ) -> Result<Value, Error> {
        let failed = |source: reqwest::Error| Error::Transport {
            call,
            host: self.endpoint.host(),
            source: Box::new(source.without_url()),
        };
        let body = body.to_string();
        let host = self.endpoint.host();
        let headers =
            [("Accept", "application/json"), ("Content-Type", "application/json"), ("Host", &host)];
        let request = sign::Request {
            method: method.as_str(),
            path,
            query: &[],
            headers: &headers,
            body: body.as_bytes(),
        };
        let scope = Scope { region: self.endpoint.region(), service: SERVICE };
        let signed = sign::sign(&request, &self.credentials, scope, (self.clock)());
        let mut outgoing = self.http.request(method, format!("{}{path}", self.endpoint.url()));
        for (name, value) in headers {
            outgoing = outgoing.header(name, value);
        }
        for (name, value) in signed {
            outgoing = outgoing.header(name, value);
        }
        tracing::debug!(call, "request");
        let response = outgoing.body(body).send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = limited_body(call, response, failed).await?;
        tracing::debug!(call, status, bytes = answer.len(), "answer");
        answer::decode(call, status, &headers, &answer)
    }
}

async fn limited_body(
    call: &'static str,
    mut response: reqwest::Response,
    failed: impl Fn(reqwest::Error) -> Error,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::Answer { call, detail: "it is longer than 8 MiB".to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
