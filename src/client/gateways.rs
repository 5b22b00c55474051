//! The calls that a gateway makes itself, by its own token.

use super::api::Client;
use super::call::Call;
use super::error::ClientError;
use super::transport::Answer;
use crate::wire::{Cursor, GatewayId, Pending, Standing};

impl Client {
    /// What a gateway has yet to apply.
    pub async fn pending(&self, id: GatewayId) -> Result<Answer<Pending>, ClientError> {
        let call = Call::get(["v1", "gateways", &id.to_string(), "pending"]);
        self.transport().send(&call).await
    }

    /// A gateway says that it has applied everything up to a sequence.
    pub async fn applied(
        &self,
        id: GatewayId,
        cursor: u64,
    ) -> Result<Answer<Standing>, ClientError> {
        let id = id.to_string();
        let call = Call::put(["v1", "gateways", &id, "cursor"], &Cursor { cursor })?;
        self.transport().send(&call).await
    }
}
