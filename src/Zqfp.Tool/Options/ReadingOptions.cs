using System.CommandLine;
using Zqfp.Evaluation;

namespace Zqfp.Tool;

/// <summary>How texts are read where their names do not tell.</summary>
internal sealed class ReadingOptions
{
    private readonly Option<string?> _field = new("--json-field") { Description = "The field of JSON lines that holds the text [default: text]", HelpName = "NAME" };

    private readonly Option<string?> _marker = new("--document-marker") { Description = "What parts the documents of a plain text; not needed where it is a token", HelpName = "TEXT" };

    private readonly Option<string?> _separator = new("--document-separator") { Description = "Put between documents [default: the tokenizer's end token, or a blank line]", HelpName = "TEXT" };

    private readonly Choice<BeginningPolicy> _beginning = new(
        "--bos",
        "Where the token that begins a sequence is put: nowhere, before the text, each document or each window",
        ("none", BeginningPolicy.None),
        ("text", BeginningPolicy.Text),
        ("document", BeginningPolicy.Document),
        ("window", BeginningPolicy.Window));

    public void AddTo(Command command)
    {
        command.Options.Add(_field);
        command.Options.Add(_marker);
        command.Options.Add(_separator);
        command.Options.Add(_beginning.Option);
    }

    public TextReading Of(ParseResult result) => new()
    {
        JsonField = result.GetValue(_field) ?? new TextReading().JsonField,
        DocumentMarker = result.GetValue(_marker),
        DocumentSeparator = result.GetValue(_separator),
        Beginning = _beginning.Of(result),
    };
}
