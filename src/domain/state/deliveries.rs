//! How the events of a delivery change the state: its request, and the version that is delivered.

use super::State;
use crate::domain::{CredentialId, Delivery, Event, RequestState};
use chrono::{DateTime, Utc};

impl State {
    pub(super) fn apply_delivery(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::DeliveryStarted {
                request,
                credential,
                version,
                to,
            } => {
                self.change_delivery(*credential, *version, |delivery| {
                    *delivery = Some(Box::new(Delivery {
                        to: to.clone(),
                        begun_at: at,
                        failure: None,
                        done_at: None,
                        place: String::new(),
                        proven: false,
                        check: String::new(),
                    }));
                });
                self.change_request(*request, |_| {});
            }
            Event::DeliveryFailed {
                request,
                credential,
                version,
                reason,
            } => {
                self.change_delivery(*credential, *version, |delivery| {
                    if let Some(delivery) = delivery {
                        delivery.failure = Some(reason.clone());
                    }
                });
                self.change_request(*request, |_| {});
            }
            Event::RequestDelivered {
                request,
                credential,
                version,
                place,
                proven,
                check,
            } => {
                self.change_delivery(*credential, *version, |delivery| {
                    if let Some(delivery) = delivery {
                        delivery.failure = None;
                        delivery.done_at = Some(at);
                        delivery.place.clone_from(place);
                        delivery.proven = *proven;
                        delivery.check.clone_from(check);
                    }
                });
                self.change_request(*request, |request| {
                    request.state = RequestState::Delivered;
                });
            }
            _ => {}
        }
    }

    fn change_delivery(
        &mut self,
        credential: CredentialId,
        number: u32,
        change: impl FnOnce(&mut Option<Box<Delivery>>),
    ) {
        self.change_credential(credential, |credential| {
            let version = credential
                .versions
                .iter_mut()
                .find(|version| version.number == number);
            if let Some(version) = version {
                change(&mut version.delivery);
            }
        });
    }
}
