using System.Globalization;
using Fluid;
using Fluid.Values;

namespace Zqfp.Evaluation;

/// <summary>
/// A text with Liquid's <c>{{ field }}</c> in it, filled in from one line of a task's data. Beyond Liquid's own filters there are
/// <c>before</c>, <c>after</c>, <c>before_last</c> and <c>after_last</c>, which cut a text at a mark.
/// </summary>
internal sealed class TaskTemplate
{
    /// <summary>Far more than any prompt takes; a loop that never ends must end.</summary>
    private const int MaxSteps = 100_000;

    private static readonly FluidParser Parser = new();
    private static readonly TemplateOptions Options = CreateOptions();

    private readonly IFluidTemplate _template;

    private TaskTemplate(string text, IFluidTemplate template) => (Text, _template) = (text, template);

    /// <summary>The template as it is written.</summary>
    public string Text { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="FormatException">It is no template; the message says where.</exception>
    public static TaskTemplate Parse(string text) => Parser.TryParse(text, out IFluidTemplate template, out string error)
        ? new TaskTemplate(text, template)
        : throw new FormatException($"'{text}' is no template: {error}");

    /// <summary>Fills the template in.</summary>
    /// <param name="fields">The fields by name: texts, numbers, truth values, lists and dictionaries of these.</param>
    /// <exception cref="FormatException">It asks for a field that is not there, or cannot be filled in.</exception>
    public string Render(IEnumerable<KeyValuePair<string, object?>> fields)
    {
        var context = new TemplateContext(Options);
        foreach ((string name, object? value) in fields)
        {
            context.SetValue(name, value);
        }

        try
        {
            return _template.Render(context, NullEncoder.Default);
        }
#pragma warning disable CA1031 // The library documents no list of what a template can throw.
        catch (Exception e)
#pragma warning restore CA1031
        {
            throw new FormatException($"'{Text}' cannot be filled in: {e.Message}", e);
        }
    }

    private static TemplateOptions CreateOptions()
    {
        var options = new TemplateOptions
        {
            StrictVariables = true,
            StrictFilters = true,
            MaxSteps = MaxSteps,
            CultureInfo = CultureInfo.InvariantCulture,
        };
        Cut("before", First, isBefore: true);
        Cut("after", First, isBefore: false);
        Cut("before_last", Last, isBefore: true);
        Cut("after_last", Last, isBefore: false);
        return options;

        void Cut(string name, Func<string, string, int> find, bool isBefore) => options.Filters.AddFilter(name,
            (input, arguments, _) => new StringValue(Part(input.ToStringValue(), arguments.At(0).ToStringValue(), find, isBefore)));

        static int First(string text, string mark) => text.IndexOf(mark, StringComparison.Ordinal);

        static int Last(string text, string mark) => text.LastIndexOf(mark, StringComparison.Ordinal);
    }

    /// <summary>The part of a text on one side of a mark; of a text without it, all is before and nothing after.</summary>
    private static string Part(string text, string mark, Func<string, string, int> find, bool isBefore)
    {
        int place = find(text, mark);
        return place < 0 ? (isBefore ? text : "") : isBefore ? text[..place] : text[(place + mark.Length)..];
    }
}
