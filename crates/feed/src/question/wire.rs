//! Questions and answers as bytes.

use std::time::Duration;

use prost::Message as _;
use sentinel_core::Revision;
use sentinel_token::{FeedVerifyKey, sha256};

use super::{Answer, Answers, MAX_QUESTIONS, Question, Verdict};
use crate::frame::MessageError;
use crate::proto;
use crate::proto::answer::Verdict as Said;
use crate::proto::question::Question as Word;
use crate::signed::{Kind, Signed};

/// A longer text is no id of an object (1,024 bytes) and no name.
const MAX_TEXT: usize = 1024;

/// Questions as an edge asks them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) questions: Vec<Question>,
    pub(crate) at_least: Revision,
    pub(crate) nonce: [u8; 16],
    pub(crate) budget: Duration,
}

impl Asked {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let questions = self.questions.iter().map(|question| proto::Question {
            question: Some(word(question)),
        });
        let message = proto::Asked {
            questions: questions.collect(),
            epoch: self.at_least.epoch,
            revision: self.at_least.number,
            nonce: self.nonce.to_vec().into(),
            budget_ms: u32::try_from(self.budget.as_millis()).unwrap_or(u32::MAX),
        };
        message.encode_to_vec()
    }

    /// Questions from the wire. `None` if there are none, too many, or one that this version does not know.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let message = proto::Asked::decode(bytes).ok()?;
        if !(1..=MAX_QUESTIONS).contains(&message.questions.len()) {
            return None;
        }
        let questions = message.questions.into_iter();
        Some(Self {
            questions: questions
                .map(|asked| question(asked.question?))
                .collect::<Option<_>>()?,
            at_least: Revision {
                epoch: message.epoch,
                number: message.revision,
            },
            nonce: message.nonce.as_ref().try_into().ok()?,
            budget: Duration::from_millis(message.budget_ms.into()),
        })
    }
}

impl Answers {
    /// The answers to these very bytes, signed.
    pub(crate) fn seal(&self, asked: &[u8], sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        let answers = self.answers.iter().map(|answer| proto::Answer {
            verdict: match answer.verdict {
                Verdict::Yes => Said::Yes,
                Verdict::No => Said::No,
                Verdict::Undecidable => Said::Undecidable,
            }
            .into(),
            role: answer
                .role
                .map_or_else(String::new, |role| role.as_str().to_owned()),
        });
        let message = proto::Answers {
            asked_sha256: sha256(asked).to_vec().into(),
            answers: answers.collect(),
            epoch: self.revision.epoch,
            revision: self.revision.number,
            age: u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX),
        };
        Signed::seal(Kind::Answers, message.encode_to_vec(), sign)
    }

    /// Verifies and reads the answers to these very bytes, in which there were so many questions.
    pub(crate) fn open(
        signed: &Signed,
        key: &FeedVerifyKey,
        asked: &[u8],
        questions: usize,
    ) -> Result<Self, MessageError> {
        let message = proto::Answers::decode(signed.open(Kind::Answers, key)?)
            .map_err(|_| MessageError::Malformed("not answers"))?;
        if message.asked_sha256.as_ref() != sha256(asked) || message.answers.len() != questions {
            return Err(MessageError::Malformed("the answers are to other questions"));
        }
        let answers = message.answers.iter().map(answer);
        Ok(Self {
            answers: answers.collect::<Result<_, _>>()?,
            revision: Revision {
                epoch: message.epoch,
                number: message.revision,
            },
            age: Duration::from_micros(message.age),
        })
    }
}

fn answer(message: &proto::Answer) -> Result<Answer, MessageError> {
    let role = match message.role.as_str() {
        "" => None,
        role => Some(
            role.parse()
                .map_err(|_| MessageError::Malformed("the role is none"))?,
        ),
    };
    // A verdict that is not known is the first one, that is, none.
    let verdict = match message.verdict() {
        Said::Yes => Verdict::Yes,
        Said::No => Verdict::No,
        Said::Undecidable => Verdict::Undecidable,
    };
    Ok(Answer { verdict, role })
}

fn word(question: &Question) -> Word {
    match question {
        Question::Role {
            workspace,
            user,
            least,
        } => Word::Role(proto::RoleQuestion {
            workspace: workspace.to_string(),
            user: user.to_string(),
            least: least.as_str().to_owned(),
        }),
        Question::Action {
            workspace,
            user,
            service,
            action,
        } => Word::Action(proto::ActionQuestion {
            workspace: workspace.to_string(),
            user: user.to_string(),
            service: service.to_string(),
            action: action.to_string(),
        }),
        Question::Permission {
            workspace,
            user,
            service,
            resource_type,
            id,
            permission,
        } => Word::Permission(proto::PermissionQuestion {
            workspace: workspace.to_string(),
            user: user.to_string(),
            service: service.to_string(),
            resource_type: resource_type.to_string(),
            id: id.clone(),
            permission: permission.as_str().to_owned(),
        }),
        Question::Relation {
            workspace,
            user,
            service,
            object_type,
            object_id,
            relation,
        } => Word::Relation(proto::RelationQuestion {
            service: service.to_string(),
            object_type: object_type.clone(),
            object_id: object_id.clone(),
            relation: relation.clone(),
            user: user.to_string(),
            workspace: workspace.to_string(),
        }),
    }
}

fn question(word: Word) -> Option<Question> {
    Some(match word {
        Word::Role(asked) => Question::Role {
            workspace: asked.workspace.parse().ok()?,
            user: asked.user.parse().ok()?,
            least: asked.least.parse().ok()?,
        },
        Word::Action(asked) => Question::Action {
            workspace: asked.workspace.parse().ok()?,
            user: asked.user.parse().ok()?,
            service: asked.service.parse().ok()?,
            action: asked.action.parse().ok()?,
        },
        Word::Permission(asked) => Question::Permission {
            workspace: asked.workspace.parse().ok()?,
            user: asked.user.parse().ok()?,
            service: asked.service.parse().ok()?,
            resource_type: asked.resource_type.parse().ok()?,
            id: short(asked.id)?,
            permission: asked.permission.parse().ok()?,
        },
        Word::Relation(asked) => Question::Relation {
            workspace: asked.workspace.parse().ok()?,
            user: asked.user.parse().ok()?,
            service: asked.service.parse().ok()?,
            object_type: short(asked.object_type)?,
            object_id: short(asked.object_id)?,
            relation: short(asked.relation)?,
        },
    })
}

fn short(text: String) -> Option<String> {
    (text.len() <= MAX_TEXT).then_some(text)
}
