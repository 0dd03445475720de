using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>One object of a <c>tokenizer.json</c> with its place in the file, so that errors can name both.</summary>
/// <param name="Element">The object.</param>
/// <param name="File">The file it was read from.</param>
/// <param name="Place">Its place in the file, as <c>pre_tokenizer.pretokenizers[1]</c>.</param>
internal readonly record struct JsonComponent(JsonElement Element, TokenizerFile File, string Place)
{
    /// <summary>The object's <c>type</c>; empty where it has none.</summary>
    public string Type => String("type") ?? string.Empty;

    /// <summary>A child object; null where it is absent or null.</summary>
    public JsonComponent? Child(string name)
    {
        if (!TryGet(name, out JsonElement child))
        {
            return null;
        }

        return child.ValueKind == JsonValueKind.Object
            ? new JsonComponent(child, File, Inside(name))
            : throw Malformed($"'{Inside(name)}' should be an object");
    }

    /// <summary>The objects of a child array; empty where it is absent or null.</summary>
    public IEnumerable<JsonComponent> Children(string name)
    {
        int index = 0;
        foreach (JsonElement element in Elements(name))
        {
            string place = $"{Inside(name)}[{index++}]";
            yield return element.ValueKind == JsonValueKind.Object
                ? new JsonComponent(element, File, place)
                : throw Malformed($"'{place}' should be an object");
        }
    }

    /// <summary>The elements of a child array; empty where it is absent or null.</summary>
    public IEnumerable<JsonElement> Elements(string name)
    {
        if (!TryGet(name, out JsonElement child))
        {
            return [];
        }

        return child.ValueKind == JsonValueKind.Array ? child.EnumerateArray() : throw Malformed($"'{Inside(name)}' should be an array");
    }

    /// <summary>A boolean, or what holds where it is absent or null.</summary>
    public bool Bool(string name, bool absent)
    {
        if (!TryGet(name, out JsonElement child))
        {
            return absent;
        }

        return child.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? child.GetBoolean()
            : throw Malformed($"'{Inside(name)}' should be true or false");
    }

    /// <summary>A string; null where it is absent or null.</summary>
    public string? String(string name)
    {
        if (!TryGet(name, out JsonElement child))
        {
            return null;
        }

        return child.ValueKind == JsonValueKind.String ? child.GetString() : throw Malformed($"'{Inside(name)}' should be a string");
    }

    /// <summary>A string that must be there.</summary>
    public string RequiredString(string name) => String(name) ?? throw Malformed($"'{Inside(name)}' is missing");

    /// <summary>An integer that must be there.</summary>
    public int RequiredInt(string name)
    {
        return TryGet(name, out JsonElement child) && child.ValueKind == JsonValueKind.Number && child.TryGetInt32(out int value)
            ? value
            : throw Malformed($"'{Inside(name)}' should be an integer");
    }

    /// <summary>Whether a member is there and not null.</summary>
    public bool TryGet(string name, out JsonElement child) =>
        Element.TryGetProperty(name, out child) && child.ValueKind != JsonValueKind.Null;

    /// <summary>The file is JSON, but not of the shape a tokenizer has.</summary>
    public ZqfpException Malformed(string what) =>
        new ZqfpException(TextCodes.VocabularyBroken,
            $"The tokenizer '{File.Name}' is broken: {what}. Fetch the file again, or save it again with Hugging Face tokenizers.",
            File.Path);

    /// <summary>The file asks for something that is not done here.</summary>
    public ZqfpException Unsupported(string code, string what) =>
        new ZqfpException(code, $"The tokenizer '{File.Name}' asks for {what} (at '{Place}'), which is not supported. "
            + "Give pre-tokenized data instead, or a tokenizer of another format of the same model.", File.Path);

    private string Inside(string name) => Place.Length == 0 ? name : $"{Place}.{name}";
}
