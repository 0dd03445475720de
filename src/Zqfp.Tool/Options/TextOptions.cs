using System.CommandLine;

namespace Zqfp.Tool.Options;

/// <summary>The text a model is measured on.</summary>
internal sealed class TextOptions
{
    public Option<string> Text { get; } = new("--text") { Description = "The text", HelpName = "FILE", Required = true };

    public Option<string?> Tokenizer { get; } = new("--tokenizer") { Description = "The model's tokenizer", HelpName = "FILE" };

    public Option<int> Window { get; } = Number.Whole("--window", "Tokens in a window; windows do not overlap", least: 2, defaultValue: 512);

    public Option<int> Windows { get; } = Number.WholeOrZero("--windows", "Windows at most [default: all the text has]");

    public void AddTo(Command command)
    {
        command.Options.Add(Text);
        command.Options.Add(Tokenizer);
        command.Options.Add(Window);
        command.Options.Add(Windows);
    }
}
