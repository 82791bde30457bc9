//! What one message does to an earlier one: edit, retract, reaction. SPEC §7.3.
//!
//! A message id is the word of whoever wrote it down. What it names is looked up here, and must stand in the history with
//! this very contact; what changes words must come from whoever said them.

use chopmark_wire::content::{Body, Edit, Reaction};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Direction, Message, MessageId, Revision, What};
use crate::store::{Kind, Log};

/// Where a message that was shown stands.
#[derive(Serialize, Deserialize)]
pub(crate) struct Place {
    contact: Blob,
    seq: u64,
}

impl Turn<'_, '_> {
    /// Notes where a message stands in the history, so that a later one can speak of it.
    pub(crate) fn place(
        &mut self,
        contact: &[u8; 32],
        id: MessageId,
        seq: u64,
    ) -> Result<(), Error> {
        let place = Place { contact: Blob::new(contact), seq };
        Ok(self.tx.put(Kind::Placed, id.as_bytes(), &place)?)
    }

    /// Does what a body of `from` says of an earlier message. SPEC §7.3 [own-messages-only]: of somebody else's words, of
    /// another conversation, and of what we do not know nothing is said or done.
    pub(crate) fn revise(&mut self, from: &[u8; 32], body: &Body) -> Result<(), Error> {
        let target = match body {
            Body::Edit(Edit { message, .. }) | Body::Retract(message) => message,
            Body::Reaction(Reaction { message, .. }) => message,
            _ => return Ok(()),
        };
        let id = MessageId(*target.as_bytes());
        let Some((seq, mut message)) = self.placed(from, id)? else { return Ok(()) };
        let contact = (*from).into();
        let theirs = message.direction == Direction::Received;
        let text = match body {
            Body::Reaction(Reaction { emoji, .. }) => {
                let emoji = emoji.clone();
                return self.emit(What::Reaction { contact, message: id, emoji });
            }
            // What was taken back is not said again.
            Body::Edit(Edit { text, .. }) if theirs && message.revised != Revision::Retracted => {
                message.revised = Revision::Edited;
                text.clone()
            }
            Body::Retract(_) if theirs && message.revised != Revision::Retracted => {
                message.revised = Revision::Retracted;
                String::new()
            }
            _ => return Ok(()),
        };
        message.text.clone_from(&text);
        self.tx.rewrite(Log::Messages, seq, &super::record::encode(&message)?)?;
        let revised = message.revised;
        self.emit(What::MessageRevised { contact, message: id, revised, text })
    }

    /// The message of this id in the history with this contact.
    pub(crate) fn placed(
        &self,
        contact: &[u8; 32],
        id: MessageId,
    ) -> Result<Option<(u64, Message)>, Error> {
        let place: Option<Place> = self.tx.find(Kind::Placed, id.as_bytes())?;
        let Some(place) = place.filter(|place| *place.contact == contact[..]) else {
            return Ok(None);
        };
        let Some(row) = self.tx.row(Log::Messages, place.seq)? else { return Ok(None) };
        let message: Message = super::record::decode(&row.value)?;
        Ok((message.id == id).then_some((place.seq, message)))
    }
}
