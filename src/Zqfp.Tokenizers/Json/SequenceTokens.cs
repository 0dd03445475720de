using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>
/// Finds the tokens that begin and end a sequence: named by <c>tokenizer_config.json</c> beside the file, else by the template
/// of the post-processor, else the one end-of-text token of the added tokens.
/// </summary>
internal static class SequenceTokens
{
    private static readonly string[] EndNames = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"];

    public static SpecialTokens Find(JsonComponent root, PostProcessing template, Dictionary<string, int> ids)
    {
        (int? beginning, int? end, bool? adds) = FromConfiguration(root.File.Path, ids);
        int? named = EndNames.Where(ids.ContainsKey).Select(name => (int?)ids[name]).FirstOrDefault();
        beginning ??= FirstOf(template.Before);
        return new SpecialTokens
        {
            BeginningOfSentenceId = beginning,
            EndOfSentenceId = end ?? FirstOf(template.After) ?? named,
            SequenceBeginningId = adds == false ? null
                : template.Before is [var put] ? put
                : adds == true ? beginning
                : null,
            Before = template.Before,
            After = template.After,
        };
    }

    /// <summary>Whether the configuration beside a file asks for a token before every sequence; null where it does not say.</summary>
    public static bool? AddsBeginning(string? file) => FromConfiguration(file, []).Adds;

    private static int? FirstOf(IReadOnlyList<int> ids) => ids.Count > 0 ? ids[0] : null;

    private static (int? Beginning, int? End, bool? Adds) FromConfiguration(string? file, Dictionary<string, int> ids)
    {
        if (file is null)
        {
            return (null, null, null);
        }

        string configuration = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, "tokenizer_config.json");
        if (!File.Exists(configuration))
        {
            return (null, null, null);
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(configuration));
            JsonElement root = document.RootElement;
            bool? adds = root.TryGetProperty("add_bos_token", out JsonElement asked)
                && (asked.ValueKind is JsonValueKind.True or JsonValueKind.False)
                ? asked.GetBoolean()
                : null;
            return (Named(root, "bos_token", ids), Named(root, "eos_token", ids), adds);
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException
            or InvalidOperationException)
        {
            throw new ZqfpException(TextCodes.TokenizerFormatUnknown,
                $"'{configuration}', which names the tokenizer's beginning and end tokens, cannot be read: {exception.Message}",
                configuration, exception);
        }
    }

    /// <summary>Tokens are named by a string or by an object with their content.</summary>
    private static int? Named(JsonElement configuration, string name, Dictionary<string, int> ids)
    {
        if (!configuration.TryGetProperty(name, out JsonElement token))
        {
            return null;
        }

        string? content = token.ValueKind switch
        {
            JsonValueKind.String => token.GetString(),
            JsonValueKind.Object when token.TryGetProperty("content", out JsonElement inner)
                && inner.ValueKind == JsonValueKind.String => inner.GetString(),
            _ => null,
        };
        return content is not null && ids.TryGetValue(content, out int id) ? id : null;
    }
}
