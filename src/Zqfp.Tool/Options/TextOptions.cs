using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>The text a model is measured on.</summary>
/// <param name="text">What <c>--text</c> is for.</param>
/// <param name="required">Whether it must be given.</param>
/// <param name="window">Tokens in a window by default.</param>
/// <param name="windows">Windows by default; 0 for all the text has.</param>
internal sealed class TextOptions(string text = "The text", bool required = true, int window = 512, int windows = 0)
{
    public Option<string?> Text { get; } = new("--text") { Description = text, HelpName = "FILE", Required = required };

    public Option<string?> Tokenizer { get; } = new("--tokenizer") { Description = "The model's tokenizer", HelpName = "FILE" };

    public Option<int> Window { get; } = Number.Whole("--window", "Tokens in a window; windows do not overlap", least: 2, window);

    public Option<int> Windows { get; } = windows == 0
        ? Number.WholeOrZero("--windows", "Windows at most [default: all the text has]")
        : Number.Whole("--windows", "Windows at most", least: 1, windows);

    public void AddTo(Command command)
    {
        command.Options.Add(Text);
        command.Options.Add(Tokenizer);
        command.Options.Add(Window);
        command.Options.Add(Windows);
    }
}
