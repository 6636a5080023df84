//! [`Client`]: sends signed requests and reads the answers.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use serde_json::Value;
use viking_credentials::{CredentialSource, Credentials};

use crate::answer;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::export::ExportSpec;
use crate::interface::{
    Api, Call, FINAL_STATES, Owner, PAGE_INDEXES, PAGE_TASKS, Spelling, TASK_STATES, has_more,
};
use crate::rate::Rate;
use crate::retry::{Attempts, History, Retry};
use crate::sign::{self, Scope};
use crate::task::{Collection, Description, Task, TaskId};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Tasks behind so many pages of a list are not looked at.
const PAGES_MAX: u64 = 500;
/// Lists of all states that are read at most, when tasks move on while they are read.
const PASSES_MAX: usize = 10;
/// How often the list of tasks is searched after an unclear answer. The service may show a task
/// a moment after it accepted it.
const ADOPT_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(4))
    .with_max_times(4);

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A client of one VikingDB service with one source of credentials. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    api: Api,
    owner: Owner,
    credentials: Arc<dyn CredentialSource>,
    clock: Clock,
    answer_timeout: Duration,
    retry: Retry,
    history: Arc<History>,
    rate: Arc<Rate>,
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
        credentials: impl CredentialSource + 'static,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        // `ring` builds in a few seconds and everywhere. A program that has chosen another is not overruled.
        drop(rustls::crypto::ring::default_provider().install_default());
        // A redirect would carry the session token to another host.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("viking-export/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|source| Error::Transport {
            call: "start",
            host: endpoint.host(),
            source: Box::new(source),
        })?;
        let (api, owner) = (Api::default(), Owner::default());
        Ok(Self {
            http,
            endpoint,
            api,
            owner,
            credentials: Arc::new(credentials),
            clock: Arc::new(clock),
            answer_timeout: ANSWER_TIMEOUT,
            retry: Retry::default(),
            history: Arc::default(),
            rate: Arc::default(),
        })
    }

    /// Speaks this generation of the interface, about collections of this owner.
    #[must_use]
    pub fn speaking(self, api: Api, owner: Owner) -> Self {
        Self { api, owner, ..self }
    }

    /// Waits this long for each answer; 30 s unless told otherwise.
    #[must_use]
    pub fn answered_within(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// Repeats requests so long after passing faults; [`Retry::default`] unless told otherwise.
    #[must_use]
    pub fn retrying(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// How many requests of this client and its clones were repeated after a passing fault.
    pub fn retries(&self) -> u64 {
        self.history.retries()
    }

    /// The attempts at one call.
    fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self.retry, &self.history)
    }

    /// The address of the service.
    pub fn url(&self) -> &str {
        self.endpoint.url()
    }

    /// Whether the service runs on this machine.
    pub fn is_local(&self) -> bool {
        self.endpoint.is_loopback()
    }

    /// The task that does this export, told by the path it writes to, if the list of tasks has one. The
    /// service may show a task a moment after it accepted it, so the list is read several times.
    pub async fn find_export(&self, spec: &ExportSpec) -> Result<Option<TaskId>, Error> {
        let search = || async { self.search(spec).await?.ok_or(None) };
        let found = search.retry(ADOPT_BACKOFF).when(|error: &Option<Error>| error.is_none()).await;
        match found {
            Ok(task) => Ok(Some(task.id)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Creates an export task. The request is repeated only while it is sure that none was accepted: no
    /// connection was made, or the rate of calls is limited. If its fate is unclear, the list of tasks is
    /// searched for one that writes to the same path, and that task is returned.
    pub async fn submit_export(&self, spec: &ExportSpec) -> Result<TaskId, Error> {
        let mut attempts = self.attempts();
        let unclear = loop {
            match self.send(Call::Create(spec)).await {
                Ok(data) => match self.pick(&data, "task_id", "TaskId").as_str().map(str::trim) {
                    Some(id) if !id.is_empty() => return Ok(TaskId(id.to_owned())),
                    _ => break self.not_understood(Call::Create(spec), "it has no id of a task"),
                },
                Err(error) if error.is_unclear() => break error,
                Err(error) if error.is_passing() => attempts.again(error).await?,
                Err(error) => return Err(error),
            }
        };
        tracing::warn!(error = %unclear, "no clear answer to create; searching the list of tasks");
        match self.find_export(spec).await {
            Ok(Some(task)) => Ok(task),
            // Found or not to be looked for: either way nobody knows.
            Ok(None) | Err(_) => {
                Err(Error::Unclear { tos_path: spec.to.as_task_param(), source: Box::new(unclear) })
            }
        }
    }

    /// Reads one task.
    pub async fn task(&self, id: &TaskId) -> Result<Task, Error> {
        let take = |data: &Value| self.task_of(data).ok_or("the task has no id or no state");
        self.read(Call::Task(id), take).await
    }

    /// Lists the export tasks of a collection. Entries without an id or a state are left out.
    pub async fn tasks(&self, collection: &str) -> Result<Vec<Task>, Error> {
        let mut tasks = match self.tasks_in(collection, None).await {
            // The vendor's page calls the state required, the SDK does not.
            Err(error) if error.is_missing_parameter() => self.tasks_of_states(collection).await?,
            tasks => tasks?.0,
        };
        // A task is listed twice if it moved meanwhile, to the next page or the next state.
        let mut seen = HashSet::new();
        tasks.reverse();
        tasks.retain(|task| seen.insert(task.id.0.clone()));
        tasks.reverse();
        let is_of_it =
            |task: &Task| task.collection.as_deref().is_none_or(|name| name == collection);
        tasks.retain(|task| self.owner.resource_id.is_some() || is_of_it(task));
        Ok(tasks)
    }

    /// The tasks in each state. Where a list has several pages, tasks that leave the state meanwhile move others to a
    /// page that was read before: then all is listed again, until nothing new comes.
    async fn tasks_of_states(&self, collection: &str) -> Result<Vec<Task>, Error> {
        let (mut tasks, mut known) = (Vec::new(), HashSet::new());
        for _ in 0..PASSES_MAX {
            let (mut is_long, before) = (false, known.len());
            for state in TASK_STATES {
                let (listed, pages) = self.tasks_in(collection, Some(state)).await?;
                is_long |= pages > 1 && !FINAL_STATES.contains(&state);
                known.extend(listed.iter().map(|task| task.id.0.clone()));
                tasks.extend(listed);
            }
            if !is_long || known.len() == before {
                break;
            }
        }
        Ok(tasks)
    }

    /// All pages of the list of tasks in one state, or in any, and how many there are.
    async fn tasks_in(
        &self,
        collection: &str,
        state: Option<&'static str>,
    ) -> Result<(Vec<Task>, u64), Error> {
        let call = |page| Call::Tasks { collection, state, page };
        let (listed, pages) =
            self.pages(call, ("Tasks", "the list of tasks is not an array"), PAGE_TASKS).await?;
        Ok((listed.iter().filter_map(|task| self.task_of(task)).collect(), pages))
    }

    /// All items of a list, and how many pages it has. V1 gives all of them at once; V2 gives them under `key`, up to
    /// `most` on a page.
    async fn pages<'a>(
        &self,
        call: impl Fn(u64) -> Call<'a>,
        (key, no_list): (&str, &'static str),
        most: u64,
    ) -> Result<(Vec<Value>, u64), Error> {
        let (mut all, mut pages) = (Vec::new(), 0);
        for page in 1..=PAGES_MAX {
            let seen = all.len() as u64;
            let take = |data: &Value| {
                let listed = match self.api {
                    Api::V1 => data,
                    Api::V2 => &data[key],
                };
                let listed = match listed {
                    Value::Array(listed) => listed.clone(),
                    Value::Null => Vec::new(),
                    _ => return Err(no_list),
                };
                let came = listed.len() as u64;
                Ok((listed, has_more(data, came, most, seen + came)))
            };
            let (listed, has_more) = self.read(call(page), take).await?;
            all.extend(listed);
            pages = page;
            if self.api == Api::V1 || !has_more {
                break;
            }
        }
        Ok((all, pages))
    }

    /// Confirms a task that waits for it.
    pub async fn confirm(&self, id: &TaskId) -> Result<(), Error> {
        self.send(Call::Confirm(id)).await.map(drop)
    }

    /// Drops a task. The vendor's pages say that a running one is terminated.
    pub async fn drop_task(&self, id: &TaskId) -> Result<(), Error> {
        self.send(Call::Drop(id)).await.map(drop)
    }

    /// Reads what the service says of a collection.
    pub async fn collection(&self, name: &str) -> Result<Collection, Error> {
        let data = self.collection_data(name).await?;
        Ok(match self.api {
            Api::V1 => Collection::from_v1(name, &data),
            Api::V2 => Collection::from_v2(name, &data),
        })
    }

    /// Reads everything that the service says of a collection, as it says it.
    pub async fn describe(&self, name: &str) -> Result<Description, Error> {
        Ok(Description { collection: self.collection_data(name).await?, indexes: None })
    }

    async fn collection_data(&self, name: &str) -> Result<Value, Error> {
        let take = |data: &Value| match data {
            Value::Object(_) => Ok(data.clone()),
            _ => Err("it describes no collection"),
        };
        self.read(Call::Collection(name), take).await
    }

    /// Adds the indexes of the collection.
    pub async fn describe_indexes(&self, description: &mut Description) -> Result<(), Error> {
        // A resource id stands for a name only where a collection is asked for.
        let name = self.pick(&description.collection, "collection_name", "CollectionName");
        let collection = name.as_str().unwrap_or_default();
        let call = |page| Call::Indexes { collection, page };
        let (indexes, _) = self
            .pages(call, ("Indexes", "the list of indexes is not an array"), PAGE_INDEXES)
            .await?;
        description.indexes = Some(indexes);
        Ok(())
    }

    /// The time on the service's clock, if it says so. Anything that answers will do.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, Error> {
        let mut attempts = self.attempts();
        loop {
            match self.ask_time().await {
                Err(error) if error.is_passing() => attempts.again(error).await?,
                answer => return answer,
            }
        }
    }

    async fn ask_time(&self) -> Result<Option<Timestamp>, Error> {
        let failed = |source| self.no_answer("ping", source);
        let request = self.http.get(self.endpoint.url()).timeout(self.answer_timeout);
        let answer = request.send().await.map_err(failed)?;
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        Ok(date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp()))
    }

    fn task_of(&self, data: &Value) -> Option<Task> {
        match self.api {
            Api::V1 => Task::from_v1(data),
            Api::V2 => Task::from_v2(data),
        }
    }

    fn pick<'a>(&self, data: &'a Value, v1: &str, v2: &str) -> &'a Value {
        match self.api {
            Api::V1 => &data[v1],
            Api::V2 => &data[v2],
        }
    }

    fn no_answer(&self, call: &'static str, source: reqwest::Error) -> Error {
        let host = self.endpoint.host();
        Error::Transport { call, host, source: Box::new(source.without_url()) }
    }

    fn not_understood(&self, call: Call<'_>, detail: &str) -> Error {
        Error::Answer { call: self.api.spell(call, &self.owner).name, detail: detail.to_owned() }
    }

    async fn search(&self, spec: &ExportSpec) -> Result<Option<Task>, Option<Error>> {
        let tasks = self.tasks(&spec.collection).await.map_err(Some)?;
        let tos_path = spec.to.as_task_param();
        let is_ours = |task: &Task| {
            task.tos_path.as_deref().map(|path| path.trim_end_matches('/')) == Some(&tos_path)
        };
        Ok(tasks.into_iter().find(is_ours))
    }

    /// Sends a call that may be repeated, until an answer comes that `take` understands.
    async fn read<T>(
        &self,
        call: Call<'_>,
        take: impl Fn(&Value) -> Result<T, &'static str>,
    ) -> Result<T, Error> {
        let mut attempts = self.attempts();
        loop {
            let answer = self.send(call).await;
            let taken = answer
                .and_then(|data| take(&data).map_err(|detail| self.not_understood(call, detail)));
            match taken {
                Err(error) if error.is_passing() => attempts.again(error).await?,
                taken => return taken,
            }
        }
    }

    /// Sends a call, and once more with other credentials if its own have expired: then nothing was done.
    async fn send(&self, call: Call<'_>) -> Result<Value, Error> {
        let spelling = self.api.spell(call, &self.owner);
        let used = self.credentials.credentials().await.map_err(Error::NoCredentials)?;
        let answer = self.send_signed(&spelling, &used).await;
        if let Err(Error::Refused(refusal)) = &answer
            && refusal.is_expired()
            && let Some(credentials) = self.credentials.renewed(&used).await
        {
            tracing::info!("the credentials had expired and were renewed");
            return self.send_signed(&spelling, &credentials).await;
        }
        answer
    }

    async fn send_signed(
        &self,
        spelling: &Spelling,
        credentials: &Credentials,
    ) -> Result<Value, Error> {
        let Spelling { name: call, method, path, query, body } = spelling;
        let failed = |source| self.no_answer(call, source);
        let body = body.to_string();
        let host = self.endpoint.host();
        let headers =
            [("Accept", "application/json"), ("Content-Type", "application/json"), ("Host", &host)];
        let request = sign::Request {
            method: method.as_str(),
            path,
            query,
            headers: &headers,
            body: body.as_bytes(),
        };
        let scope = Scope { region: self.endpoint.region(), service: self.api.service() };
        let signed = sign::sign(&request, credentials, scope, (self.clock)());
        let mut url = format!("{}{path}", self.endpoint.url());
        if !query.is_empty() {
            // As it is signed.
            url += &format!("?{}", sign::canonical_query(query));
        }
        let mut outgoing = self.http.request(method.clone(), url).timeout(self.answer_timeout);
        for (name, value) in headers {
            outgoing = outgoing.header(name, value);
        }
        for (name, value) in signed {
            outgoing = outgoing.header(name, value);
        }
        // Services on this machine are no account's.
        if !self.is_local() {
            self.rate.take().await;
        }
        tracing::debug!(call, "request");
        let response = outgoing.body(body).send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = limited_body(call, response, failed).await?;
        tracing::debug!(call, status, bytes = answer.len(), "answer");
        let decoded = answer::decode(call, status, &headers, &answer);
        if decoded.as_ref().err().is_none_or(|error| !error.is_passing()) {
            self.history.note_answer();
        }
        decoded
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
