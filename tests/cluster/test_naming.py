from slimdown.cluster.naming import describe, name_tasks, prompt_words
from slimdown.types import Slot, Template

BANK = Template(
    (Slot("system", "You classify messages that customers send to a bank. Be brief.", ""),)
)


def test_a_name_is_made_of_the_prompt_s_first_telling_words() -> None:
    names = name_tasks([prompt_words(BANK, ())], ["label"])

    assert names == ["classify-messages-customers-send"]


def test_prompts_that_begin_alike_are_named_by_what_is_their_own() -> None:
    prompts = [
        ["cypher", "query", "schema", "graph", *"abcdefgh", "movie", "genre"],
        ["cypher", "query", "schema", "graph", *"abcdefgh", "tweet", "hashtag"],
    ]

    assert name_tasks(prompts, ["text", "text"]) == [
        "write-cypher-query-movie-genre",
        "write-cypher-query-tweet-hashtag",
    ]


def test_names_are_unique() -> None:
    assert name_tasks([["mail"], ["mail"]], ["text", "text"]) == ["write-mail", "write-mail-2"]


def test_a_prompt_without_constant_text_is_named_by_its_content() -> None:
    words = prompt_words(Template(()), ["my invoice is late", "the invoice again"])

    assert words[0] == "invoice"


def test_a_task_of_which_nothing_is_known_still_has_a_name() -> None:
    assert name_tasks([[]], ["tool"]) == ["act"]


def test_a_description_is_one_sentence() -> None:
    text = describe(BANK, "label", 12)

    assert text.count("\n") == 0
    assert "one of a closed set of labels (12 calls)." in text
    assert "You classify messages that customers send to a bank." in text


def test_a_task_without_a_prompt_says_so() -> None:
    assert "without a fixed prompt" in describe(Template(()), "text", 3)
