//! What every step of a run needs.

use std::sync::Arc;

use viking_api::Client;
use viking_fetch::Bucket;

use crate::config::Service;
use crate::error::Result;
use crate::event::{Event, Listener, NoListener, Warning};
use crate::record::RESERVED_NAMES;
use crate::stop::Stop;

/// The services, who watches, and who may stop it. The methods are the verbs: [`run`](Self::run),
/// [`resume`](Self::resume), [`fetch`](Self::fetch) and so on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    service: Service,
    listener: Arc<dyn Listener>,
    stop: Stop,
}

impl Session {
    /// A session that nobody watches.
    pub fn new(service: Service) -> Self {
        Self { service, listener: Arc::new(NoListener), stop: Stop::default() }
    }

    /// Tells `listener` of every step.
    #[must_use]
    pub fn with_listener(self, listener: Arc<dyn Listener>) -> Self {
        Self { listener, ..self }
    }

    /// Stops printing when `stop` asks for it.
    #[must_use]
    pub fn with_stop(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The same session with other services.
    #[must_use]
    pub fn with_service(&self, service: Service) -> Self {
        Self { service, ..self.clone() }
    }

    /// The services.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Who may stop it.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// A client of `VikingDB`; tells first whom it will ask, since the answer may take a while.
    pub async fn client(&self) -> Result<Client> {
        let client = self.service.client().await?;
        self.tell(&Event::Connect { url: client.url().to_owned() });
        Ok(client)
    }

    /// A bucket of TOS. `retries` says how often a request is repeated at most; without it the time decides.
    pub async fn bucket(&self, name: &str, retries: Option<u8>) -> Result<Bucket> {
        self.bucket_for(name, retries, &RESERVED_NAMES).await
    }

    /// A bucket whose objects become files beside those of the `reserved` names.
    pub(crate) async fn bucket_for(
        &self,
        name: &str,
        retries: Option<u8>,
        reserved: &[&str],
    ) -> Result<Bucket> {
        let options = self.service.bucket_options(retries).await?;
        let options = options.with_reserved_names(reserved.iter().copied());
        Ok(Bucket::open(name, &options)?)
    }

    pub(crate) fn listener(&self) -> &dyn Listener {
        self.listener.as_ref()
    }

    /// Tells the listener of a step.
    pub(crate) fn tell(&self, event: &Event) {
        self.listener.on_event(event);
    }

    pub(crate) fn warn(&self, warning: Warning) {
        self.tell(&Event::Warning(warning));
    }
}
