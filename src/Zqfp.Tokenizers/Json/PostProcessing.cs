using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>The tokens that <c>post_processor</c> puts around a single text.</summary>
/// <param name="Before">Ids before the text.</param>
/// <param name="After">Ids after it.</param>
internal sealed record PostProcessing(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>None.</summary>
    public static PostProcessing None { get; } = new([], []);

    /// <exception cref="ZqfpException">ZQFP0106, or ZQFP0116 where the kind is not supported.</exception>
    public static PostProcessing Read(JsonComponent? component, Dictionary<string, int> ids)
    {
        if (component is not { } processor)
        {
            return None;
        }

        switch (processor.Type)
        {
            case "ByteLevel":
                return None;
            case "BertProcessing" or "RobertaProcessing":
                return new PostProcessing([ReadPair(processor, "cls")], [ReadPair(processor, "sep")]);
            case "TemplateProcessing":
                return ReadTemplate(processor, ids);
            case "Sequence":
                // Each processor works on what the one before made.
                PostProcessing[] parts = [.. processor.Children("processors").Select(part => Read(part, ids))];
                return new PostProcessing([.. parts.Reverse().SelectMany(part => part.Before)], [.. parts.SelectMany(part => part.After)]);
            default:
                throw processor.Unsupported(TextCodes.PostProcessorUnsupported, $"a post-processor of type '{processor.Type}'");
        }
    }

    /// <summary>A token with its id.</summary>
    private static int ReadPair(JsonComponent processor, string name)
    {
        JsonElement[] pair = [.. processor.Elements(name)];
        return pair.Length == 2 && pair[1].ValueKind == JsonValueKind.Number && pair[1].TryGetInt32(out int id)
            ? id
            : throw processor.Malformed($"'{name}' of '{processor.Place}' should be a token and its id");
    }

    private static PostProcessing ReadTemplate(JsonComponent processor, Dictionary<string, int> ids)
    {
        JsonComponent? special = processor.Child("special_tokens");
        var before = new List<int>();
        var after = new List<int>();
        List<int> side = before;
        foreach (JsonComponent part in processor.Children("single"))
        {
            if (part.Child("SpecialToken") is not { } token)
            {
                side = after;
                continue;
            }

            // The ids stand beside the template; older files leave them to the vocabulary.
            string name = token.RequiredString("id");
            if (special?.Child(name) is { } listed)
            {
                side.AddRange(listed.Elements("ids").Select(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int value)
                    ? value
                    : throw processor.Malformed($"the ids of '{name}' in '{processor.Place}' should be integers")));
            }
            else
            {
                side.Add(ids.TryGetValue(name, out int id)
                    ? id
                    : throw processor.Malformed($"the token '{name}' of '{processor.Place}' is not in the vocabulary"));
            }
        }

        return new PostProcessing(before, after);
    }
}
